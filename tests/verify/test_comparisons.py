"""One difference of each kind, made behind the stores' backs, is found and named."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from storage_app.stores.redis import RedisPositions, book_key
from storage_app.verify.differences import Kind
from tests.factories import make_bars
from tests.verify.conftest import ACCOUNT, BOOK, OTHER, STRATEGY
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("known_calendar"),
]


def test_stores_that_agree_are_clean(platform):
    report = platform.verify()
    assert report.findings == []
    assert report.is_clean
    compared = report.summary["compared"]
    assert (compared["books"], compared["trades"], compared["bars"]) == (2, 6, 50)
    assert (compared["accounts"], compared["versions"], compared["bindings"]) == (2, 2, 1)


def test_a_field_of_a_position(platform, redis):
    redis.hset(book_key(BOOK), "600000.SH", "4|10800|9900|1000|2026-03-02|")
    assert platform.found() == [("positions", f"{BOOK} 600000.SH", "held_days", 4, 3)]


def test_the_date_of_the_increment(platform, redis):
    redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
    assert platform.found() == [("positions", BOOK, "_inc_date", "2026-03-06", "2026-03-05")]


def test_a_price_in_the_files(platform):
    path = platform.data_dir / "books" / BOOK / "max_price.json"
    path.write_text(json.dumps({"600000.SH": 11.1}))
    assert platform.found() == [("positions", f"{BOOK} 600000.SH", "max_price", 10.8, 11.1)]


def test_a_code_that_one_side_has(platform, redis):
    redis.hset(book_key(BOOK), "000001.SZ", "1|||||")
    (found,) = platform.found()
    assert found == ("positions", f"{BOOK} 000001.SZ", "", "held_days 1", None)


def test_a_book_that_redis_has_lost(platform, redis):
    redis.delete(book_key(OTHER))
    assert platform.found() == [("positions", OTHER, "", None, "1 positions")]


def test_a_fill_that_counts_as_applied_on_one_side_only(platform, redis):
    today = clock.today()
    redis.zadd(f"{book_key(BOOK)}:fills", {f"{today}|600000.SH|BUY|A": f"{today:%Y%m%d}"})
    assert platform.found() == [
        ("positions", BOOK, "applied fills", f"{today}|600000.SH|BUY|A", None)
    ]


def test_a_file_of_a_book_that_is_damaged(platform):
    path = platform.data_dir / "books" / BOOK / "positions.json"
    path.write_text('{"600000.SH": {"day_c')
    (finding,) = platform.verify().findings
    assert (finding["kind"], finding["problem"], finding["left"]) == (
        "positions", "damaged", f"books/{BOOK}/positions.json",
    )  # fmt: skip
    assert path.read_text() == '{"600000.SH": {"day_c'


def test_a_field_of_a_trade(platform):
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    path.write_bytes(path.read_bytes().replace(b",300,buy", b",301,buy"))
    report = platform.verify()
    (finding,) = report.findings
    assert (finding["field"], finding["left_value"], finding["right_value"]) == ("volume", 300, 301)
    assert finding["account_id"] == ACCOUNT
    assert finding["key"].startswith(f"{ACCOUNT} 2026-03-02 600000.SH ")


def test_a_trade_that_the_files_lack(platform):
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    (found,) = platform.found()
    assert (found[0], found[2], found[4]) == ("trades", "", None)
    assert found[3] == "buy_trade 500 @ 10.000 09:31:00"


def test_a_trade_that_clickhouse_lacks(platform, clickhouse):
    with clickhouse.cursor() as cursor:
        cursor.execute("ALTER TABLE trade DELETE WHERE volume = 200 SETTINGS mutations_sync = 1")
    (found,) = platform.found()
    assert found[3:] == (None, "buy_trade 200 @ 10.000 09:31:00")


def test_trades_of_another_host_are_compared_there(platform, redis):
    RedisPositions().claim(BOOK, "far-1a2b3c")
    platform.settle_books()
    (platform.data_dir / "trades" / ACCOUNT / "2026.csv").unlink()
    report = platform.verify()
    assert report.findings == []
    assert [values for _, values in report.summary["notes"] if "host" in values] == [
        {"account": ACCOUNT, "host": "far-1a2b3c"}
    ]


def test_a_line_that_stands_twice(platform):
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[-1]]))
    (found,) = platform.found()
    assert (found[0], *found[2:]) == ("trades", "lines", 1, 2)


def test_a_line_that_is_no_trade_is_named_and_left(platform):
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    with path.open("ab") as stream:
        stream.write(b"2026-03-02,nonsense\r\n")
    (finding,) = platform.verify().findings
    assert finding["problem"] == "damaged"
    assert "line 7" in finding["left_value"]
    assert path.read_bytes().endswith(b"nonsense\r\n")


def test_a_torn_last_line_is_nobodys_trade(platform):
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    with path.open("ab") as stream:
        stream.write(b"2026-03-02,09:3")
    assert platform.found() == []
    assert path.read_bytes().endswith(b"09:3")


def test_a_price_of_a_bar(platform):
    path = platform.data_dir / "klines" / "none" / "600000.SH.csv"
    text = path.read_text()
    path.write_text(text.replace("20260203,10.1,", "20260203,10.11,"))
    assert platform.found() == [("klines", "none 600000.SH 2026-02-03", "open", 10.1, 10.11)]


def test_a_bar_that_one_side_has(platform):
    path = platform.data_dir / "klines" / "qfq" / "600036.SH.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    (found,) = platform.found()
    assert (found[0], found[1][:14], found[4]) == ("klines", "qfq 600036.SH ", None)


def test_a_file_of_bars_that_is_gone(platform):
    (platform.data_dir / "klines" / "none" / "600000.SH.csv").unlink()
    assert platform.found() == [("klines", "none 600000.SH", "", "30 bars", None)]


def test_bars_that_came_after_the_nightly_mirror_are_no_difference(platform):
    platform.open().write_klines(make_bars("600000.SH", days=3, start=date(2026, 3, 13)))
    assert platform.found() == []
    path = platform.data_dir / "klines" / "none" / "600000.SH.csv"
    path.write_text(path.read_text().replace("20260203,10.1,", "20260203,10.11,"))
    assert [one[1] for one in platform.found()] == ["none 600000.SH 2026-02-03"]


def test_a_field_of_an_account(platform):
    path = platform.snapshot("accounts")
    document = json.loads(path.read_text())
    document["accounts"][ACCOUNT]["account_name"] = "Somebody's"
    path.write_text(json.dumps(document))
    assert platform.found() == [("accounts", ACCOUNT, "account_name", "My account", "Somebody's")]


def test_an_account_and_a_binding_that_the_snapshot_lacks(platform):
    path = platform.snapshot("accounts")
    document = json.loads(path.read_text())
    del document["accounts"][OTHER]
    document["bindings"] = []
    path.write_text(json.dumps(document))
    keys = [(one[1], one[4]) for one in platform.found()]
    assert keys == [(OTHER, None), (f"{ACCOUNT} / {STRATEGY}", None)]


def test_a_parameter_of_an_old_version(platform):
    path = platform.data_dir / "snapshot" / "strategies" / "breakout_v1.json"
    document = json.loads(path.read_text())
    document["params"]["slots"] = 99
    path.write_text(json.dumps(document))
    assert platform.found() == [("strategies", f"{STRATEGY} v1", "params.slots", 10, 99)]


def test_the_active_version(platform):
    path = platform.snapshot("strategies")
    document = json.loads(path.read_text())
    document["strategies"][STRATEGY]["active_version"] = 1
    path.write_text(json.dumps(document))
    assert platform.found() == [("strategies", STRATEGY, "active_version", 2, 1)]


def test_a_version_without_its_file(platform):
    (platform.data_dir / "snapshot" / "strategies" / "breakout_v2.json").unlink()
    assert platform.found() == [("strategies", f"{STRATEGY} v2", "params", "2 parameters", None)]


def test_a_calendar_that_runs_out(platform):
    with clock.pinned(clock.now().replace(year=2030)):
        found = platform.found(kinds=frozenset({Kind.CALENDAR}))
    assert [one[:3] for one in found] == [("calendar", "calendar", "known until")]


def test_old_and_damaged_backups(platform):
    directory = platform.data_dir / "backups"
    for name, text in {
        "old": json.dumps({"created_at": (clock.now() - timedelta(days=40)).isoformat()}),
        "cut": '{"created_at": "20',
        "begun.part": "",
    }.items():
        (directory / name).mkdir(parents=True)
        (directory / name / "manifest.json").write_text(text)
    findings = platform.verify().findings
    assert [(one["kind"], one["problem"]) for one in findings] == [
        ("backups", "damaged"), ("backups", "outdated"),
    ]  # fmt: skip
    (directory / "new").mkdir()
    part = {"path": "trades.parquet", "size": 3}
    made = json.dumps({"created_at": clock.now().isoformat(), "parts": [part]})
    (directory / "new" / "manifest.json").write_text(made)
    findings = platform.verify().findings
    assert [one["problem"] for one in findings] == ["damaged", "damaged", "outdated"]
    assert findings[1]["left_value"] == "the file is missing"
    (directory / "new" / "trades.parquet").write_bytes(b"PAR")
    assert [one["problem"] for one in platform.verify().findings] == ["damaged"]


def test_an_account_alone_is_compared_alone(platform, redis):
    redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
    assert platform.found(accounts=frozenset({OTHER})) == []
    assert len(platform.found(accounts=frozenset({ACCOUNT}))) == 1
