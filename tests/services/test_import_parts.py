"""The import commands one by one: dates, batches, files, rejects, cancelling, resuming."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings

from storage_app.contract.types import PositionFlag
from storage_app.contract.watching import Cancelled, Watch
from storage_app.imports.cursor import Cursor, job_of
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.imports.rejects import RejectsFolder
from storage_app.imports.trades import import_trades
from storage_app.legacy.directory import explore
from storage_app.services import actors
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.compose import create_data_store
from tests.services.importing import (
    ACCOUNT,
    BAR,
    DEMO,
    HEADER,
    ROOT,
    ROW,
    assert_adds_up,
    run,
    write_bars,
    write_orders,
)

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse", "data_dir", "english"),
]


@pytest.fixture
def store():
    store = create_data_store("hybrid")
    yield store
    store.close()


@pytest.fixture
def account(store):
    store.create_account(ACCOUNT, "实盘", "QMT", 100_000)
    return ACCOUNT


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "_cache"


def options(**changes):
    base = ImportOptions(ACCOUNT, settings.DATA_DIR / "calendar.csv")
    return replace(base, **changes)


def trades_of(store, **filters):
    return list(store.iter_trades(ACCOUNT, **filters))


# Parts ---------------------------------------------------------------------------------------


def test_each_part_imports_its_own_files_only(store, account):
    calendar = run("import_calendar", DEMO)
    assert [*calendar["by_name"]] == ["_open_day_list_sina.csv"]
    positions = run("import_positions", DEMO, "--account", ACCOUNT)
    assert {Path(row["file"]).name for row in positions["files"]} == {
        "positions.json", "held_days.json", "max_price.json", "min_price.json",
    }  # fmt: skip
    trades = run("import_trades", DEMO, "--account", ACCOUNT)
    assert [*trades["by_name"]] == ["deal_hist.csv"]
    klines = run("import_klines", DEMO)
    assert klines["total"]["new"] == 7031
    for result in (calendar, positions, trades, klines):
        assert result["status"] == 0, result["errors"]
        assert_adds_up(result)
    assert run("import_legacy", DEMO, "--account", ACCOUNT)["total"]["new"] == 262


def test_directory_without_the_part_is_refused(cache, account):
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW)
    result = run("import_klines", cache)
    assert result["status"] == 1
    assert "no files of klines here" in result["errors"]


@pytest.mark.parametrize("name", ["import_positions", "import_trades"])
def test_unknown_account_is_named(cache, name):
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW)
    (cache / "prod_pwc" / "positions.json").write_text("{}")
    result = run(name, cache, "--account", ACCOUNT)
    assert result["status"] == 1
    assert ACCOUNT in result["errors"]


def test_one_file_belongs_to_the_book_of_its_folder(store, account, cache):
    main = write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW)
    paper = write_orders(cache / "test_pwc" / "deal_hist.csv", ROW)
    own = write_orders(cache / "wencai" / "deal_hist.csv", ROW)
    elsewhere = write_orders(cache.parent / "downloads" / "orders 2025.csv", ROW)
    for path in (main, paper, own):
        assert run("import_trades", path, "--account", ACCOUNT)["total"]["new"] == 1
    # The same row of the same book, whatever its file is called.
    assert run("import_trades", elsewhere, "--account", ACCOUNT)["total"]["same"] == 1
    assert sorted(row["strategy_name"] for row in trades_of(store)) == ["", "test", "wencai"]
    assert run("import_trades", cache, "--account", ACCOUNT)["total"]["new"] == 0


def test_one_folder_and_one_file_of_bars(store, cache):
    path = write_bars(cache / "_daily_akshare" / "600000.SH.csv", BAR)
    write_bars(cache / "_daily_akshare" / "600001.SH.csv", BAR)
    assert run("import_klines", path)["total"]["new"] == 1
    assert run("import_klines", path.parent)["total"]["new"] == 1
    assert run("import_klines", cache)["total"]["same"] == 2


def test_option_without_meaning_is_accepted_with_a_remark(cache):
    write_bars(cache / "_daily_akshare" / "600000.SH.csv", BAR)
    result = run("import_klines", cache, "--account", ACCOUNT)
    assert result["status"] == 0
    assert "--account has no effect here" in result["errors"]


def test_all_logs_of_a_folder_are_read_and_a_row_of_two_files_is_one_order(store, account, cache):
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW)
    write_orders(cache / "prod_pwc" / "trades.csv", ROW, ROW.replace("10.5", "10.6"))
    write_orders(cache / "prod_pwc" / "trade_records.csv", ROW.replace("10.5", "10.7"))
    result = run("import_trades", cache, "--account", ACCOUNT)
    assert (result["total"]["new"], result["total"]["same"]) == (3, 1)


# Dates and batches ---------------------------------------------------------------------------


def test_dates_limit_orders_bars_and_net_values(store, account, cache):
    days = ("2025-09-19", "2025-09-22", "2025-09-23", "2025-09-24")
    write_orders(
        cache / "prod_pwc" / "deal_hist.csv", *(ROW.replace("2025-09-22", day) for day in days)
    )
    (cache / "prod_pwc" / "assets.csv").write_text(
        "date,asset\n" + "".join(f"{day},100000\n" for day in days)
    )
    bars = [BAR.replace("20250922", day.replace("-", "")) for day in days]
    write_bars(cache / "_daily_akshare" / "600000.SH.csv", *bars)
    limits = ("--since", "2025-09-22", "--until", "2025-09-23")
    result = run("import_legacy", cache, "--account", ACCOUNT, *limits)
    assert result["status"] == 0
    assert_adds_up(result)
    assert [row["new"] for row in result["files"]] == [2, 2, 2]
    assert all("2 rows outside the dates" in row["note"] for row in result["files"])
    assert store.get_kline("600000.SH")["datetime"].tolist() == [20250922, 20250923]
    rest = run("import_legacy", cache, "--account", ACCOUNT)
    assert [row["new"] for row in rest["files"]] == [2, 2, 2]


def test_batches_of_any_size_give_the_same_orders(store, account, cache):
    rows = [ROW.replace("10.5", f"{10 + n % 7}.5") for n in range(25)]
    path = write_orders(cache / "prod_pwc" / "deal_hist.csv", *rows)
    small = run("import_trades", path, "--account", ACCOUNT, "--batch-size", 4)
    assert small["total"]["new"] == 25
    assert run("import_trades", path, "--account", ACCOUNT)["total"]["same"] == 25
    assert len(trades_of(store)) == 25


def test_batches_of_any_size_give_the_same_bars(store, cache):
    for number in range(9):
        rows = [BAR.replace("20250922", f"202509{day}") for day in range(15, 20)]
        write_bars(cache / "_daily_akshare" / f"600{number:03}.SH.csv", *rows)
    steps = []
    watch = Watch(lambda progress: steps.append(progress.done))
    directory = explore(cache)
    found = list(
        run_import(directory, store, actors.command("test"), options(batch_size=10, watch=watch))
    )
    assert sum(result.new for result in found) == 45
    assert steps == [*range(1, 10)] or len(set(steps)) > 3
    assert run("import_klines", cache)["total"]["same"] == 45


def test_history_of_decades_stays_below_the_limit_of_partitions(store, account, cache, clickhouse):
    """ClickHouse refuses an insert block of more than 100 partitions."""
    years = range(1991, 2026)
    rows = [BAR.replace("20250922", f"{year}0715") for year in years]
    write_bars(cache / "_daily_akshare" / "600000.SH.csv", *rows)
    orders = [ROW.replace("2025-09-22", f"{year}-07-15") for year in years]
    write_orders(cache / "prod_pwc" / "deal_hist.csv", *orders)
    result = run("import_legacy", cache, "--account", ACCOUNT)
    assert result["status"] == 0, result["errors"]
    with clickhouse.cursor() as cursor:
        cursor.execute(
            "SELECT table, count(DISTINCT partition) FROM system.parts WHERE active AND "
            "database = currentDatabase() AND table IN ('trade', 'daily_kline') GROUP BY table"
        )
        partitions = dict(cursor.fetchall())
    assert partitions == {"trade": len(years), "daily_kline": len(years)}


def test_every_price_of_two_decimals_arrives_exactly(cache, clickhouse):
    """ClickHouse cuts floats off when it makes decimals of them: 2.01 would become 2.009."""
    days = [f"{day:%Y%m%d}" for day in pd.bdate_range("2015-01-05", periods=2500)]
    expected = {}
    for number in range(4):
        code = f"60000{number}.SH"
        prices = [Decimal(number * 2500 + place + 1) / 100 for place in range(2500)]
        expected |= {(code, day): price for day, price in zip(days, prices, strict=True)}
        rows = [
            f"{day},{price},{price},{price},{price},100,{price * 100}"
            for day, price in zip(days, prices, strict=True)
        ]
        write_bars(cache / "_daily_akshare" / f"{code}.csv", *rows)
    assert run("import_klines", cache)["total"]["new"] == 10_000
    with clickhouse.cursor() as cursor:
        cursor.execute(
            "SELECT code, toString(toYYYYMMDD(trade_date)), open, high, low, close, amount "
            "FROM daily_kline FINAL"
        )
        found = {(code, day): values for code, day, *values in cursor.fetchall()}
    assert found == {key: [price] * 4 + [price * 100] for key, price in expected.items()}


# Identity ------------------------------------------------------------------------------------


def test_identity_of_a_row_is_what_it_always_was(store, account, cache):
    """Rows of earlier imports must not come in a second time."""
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW, ROW)
    run("import_trades", cache, "--account", ACCOUNT)
    assert {row["trade_uid"] for row in trades_of(store)} == {
        "7328d585-4bdf-505d-a573-12109697847d",
        "cc657422-205a-5fb1-a7b1-39fcc9615135",
    }


def test_equal_rows_far_apart_in_a_file_are_two_orders(store, account, cache):
    others = [ROW.replace("10.5", f"{10 + n / 100:.2f}") for n in range(60, 90)]
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW, *others, ROW)
    arguments = ("import_trades", cache, "--account", ACCOUNT, "--batch-size", 5)
    assert run(*arguments)["total"]["new"] == 32
    assert run(*arguments)["total"]["same"] == 32
    assert sum(row["price"] == 10.5 for row in trades_of(store)) == 2


# Assumed fills -------------------------------------------------------------------------------


def test_assumed_fills_stand_beside_the_orders_and_are_marked(store, account, cache):
    buy, sell = ROW, ROW.replace("市买", "市卖").replace("09-22", "09-23").replace("10.5", "11")
    path = write_orders(cache / "prod_pwc" / "deal_hist.csv", buy, sell)
    result = run("import_trades", path, "--account", ACCOUNT, "--assume-filled")
    assert (result["total"]["new"], result["status"]) == (2, 0)
    assert "2 fills assumed" in result["files"][0]["note"]
    rows = trades_of(store)
    assert [(row["order_type"], row["source"]) for row in rows if row["source"] == "assumed"] == [
        ("buy_trade", "assumed"), ("sell_trade", "assumed"),
    ]  # fmt: skip
    assert sum(row["source"] == "legacy" for row in rows) == 2
    (month,) = store.aggregate_trades(ACCOUNT, "2025-09-01", "2025-09-30")
    assert (month["profit"], month["is_estimate"]) == (500, True)
    again = run("import_trades", path, "--account", ACCOUNT, "--assume-filled")
    assert again["total"]["same"] == 2
    assert len(trades_of(store)) == 4


def test_fills_can_be_assumed_for_orders_that_are_in_already(store, account, cache):
    path = write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW)
    run("import_trades", path, "--account", ACCOUNT)
    assert store.aggregate_trades(ACCOUNT, "2025-09-01", "2025-09-30") == []
    run("import_trades", path, "--account", ACCOUNT, "--assume-filled")
    (month,) = store.aggregate_trades(ACCOUNT, "2025-09-01", "2025-09-30")
    assert month["trade_count"] == 1


def test_no_fill_is_assumed_for_a_file_that_logs_fills(store, account, cache):
    path = write_orders(
        cache / "prod_pwc" / "deal_hist.csv", ROW, ROW.replace("市买委托", "买入成交")
    )
    result = run("import_trades", path, "--account", ACCOUNT, "--assume-filled")
    assert result["status"] == 1
    assert "line 3 column 类型" in result["errors"]
    assert trades_of(store) == []


# Rejects -------------------------------------------------------------------------------------


def rejects_of(data_dir):
    (folder,) = (data_dir / "rejects").iterdir()
    return folder


def correct(path, **values):
    """Change columns of all rows, as a person does in a spreadsheet, which saves GBK."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with path.open("w", encoding="gbk", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(row | values for row in rows)


def test_rejected_orders_are_corrected_in_their_file_and_imported(store, account, cache, data_dir):
    write_orders(
        cache / "prod_pwc" / "deal_hist.csv", ROW, ROW.replace("市买委托", "撤单?"), '坏,"一行'
    )
    first = run("import_legacy", cache, "--account", ACCOUNT)
    assert (first["status"], first["total"]["rejected"]) == (1, 2)
    folder = rejects_of(data_dir)
    assert f"correct the rows in {folder}" in first["errors"]
    path = folder / "prod_pwc" / "deal_hist.csv"
    with path.open(encoding="utf-8-sig", newline="") as lines:
        unknown, broken = csv.DictReader(lines)
    assert (unknown["line"], unknown["column"], unknown["类型"]) == ("3", "类型", "撤单?")
    assert "unknown kind" in unknown["reason"]
    assert (broken["line"], broken["raw"]) == ("4", '坏,"一行')
    good = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    correct(path, **good | {"成交价": "10.9"})
    second = run("import_legacy", folder, "--account", ACCOUNT)
    assert second["status"] == 0, second["errors"]
    assert second["total"]["new"] == 2
    assert sorted(row["price"] for row in trades_of(store)) == [10.5, 10.9, 10.9]
    assert run("import_legacy", folder, "--account", ACCOUNT)["total"]["same"] == 2


def test_rows_rejected_again_keep_their_columns(store, account, cache, data_dir):
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW.replace("1000", "1,5"))
    run("import_trades", cache, "--account", ACCOUNT)
    folder = rejects_of(data_dir)
    result = run("import_trades", folder, "--account", ACCOUNT)
    assert result["status"] == 1
    (other,) = (path for path in (data_dir / "rejects").iterdir() if path != folder)
    first, second = (
        (each / "prod_pwc" / "deal_hist.csv").read_text("utf-8-sig").splitlines()[0]
        for each in (folder, other)
    )
    assert first == second


def test_rejected_bars_are_corrected_in_their_file_and_imported(store, cache, data_dir):
    good = "20250922,10,10.5,9.9,10.2,10000,10200000"
    more = good.replace("20250922", "20250919")
    bad = good.replace("20250922", "20250923").replace("10.5", "9")
    write_bars(cache / "_daily_akshare" / "600000.SH.csv", more, good, bad)
    assert run("import_klines", cache)["status"] == 1
    folder = rejects_of(data_dir)
    correct(folder / "_daily_akshare" / "600000.SH.csv", high="10.6")
    result = run("import_klines", folder)
    assert result["status"] == 0, result["errors"]
    frame = store.get_kline("600000.SH")
    assert frame["high"].tolist() == [10.5, 10.5, 10.6]
    assert frame["volume"].tolist() == [1_000_000] * 3


def test_rejected_positions_are_corrected_in_their_file_and_imported(
    store, account, cache, data_dir
):
    book = cache / "test_pwc"
    book.mkdir(parents=True)
    (book / "held_days.json").write_text(
        '{\n"_inc_date": "2025-09-22",\n"600000.SH": 3,\n"300059.SZ": "x",\n"1": 2\n}'
    )
    (book / "max_price.json").write_text('{"600000.SH": 10.5, "300059.SZ": "n/a"}')
    first = run("import_positions", book, "--account", ACCOUNT)
    assert (first["status"], first["total"]["rejected"]) == (1, 3)
    folder = rejects_of(data_dir)
    path = folder / "test_pwc" / "held_days.json"
    document = json.loads(path.read_text())
    assert document["_inc_date"] == "2025-09-22"
    assert any("line 4" in place for place in document["_reasons"])
    path.write_text(path.read_text().replace('"x"', "5").replace('"1"', '"000001.SZ"'))
    prices = folder / "test_pwc" / "max_price.json"
    prices.write_text(prices.read_text().replace('"n/a"', "20.5"))
    second = run("import_positions", folder, "--account", ACCOUNT)
    assert second["status"] == 0, second["errors"]
    positions = store.get_positions(f"{ACCOUNT}/test")
    assert {code: one.held_days for code, one in positions.items()} == {
        "600000.SH": 3, "300059.SZ": 5, "000001.SZ": 2,
    }  # fmt: skip
    assert positions["300059.SZ"].max_price == 20.5
    assert positions["300059.SZ"].flag is PositionFlag.CLEAR


def test_rejected_prices_alone_are_imported_into_the_same_book(store, account, cache, data_dir):
    book = cache / "prod_pwc"
    book.mkdir(parents=True)
    (book / "positions.json").write_text(
        '{"_inc_date": "2025-09-22", "600000.SH": {"day_count": 3}}'
    )
    (book / "max_price.json").write_text('{"600000.SH": "n/a"}')
    run("import_positions", cache, "--account", ACCOUNT)
    path = rejects_of(data_dir) / "prod_pwc" / "max_price.json"
    path.write_text(path.read_text().replace('"n/a"', "10.8"))
    assert run("import_positions", path, "--account", ACCOUNT)["status"] == 0
    assert store.get_max_price("600000.SH", ACCOUNT) == 10.8


def test_replacing_a_book_needs_its_holdings(store, account, cache):
    book = cache / "prod_pwc"
    book.mkdir(parents=True)
    store.update_held_days("600000.SH", 3, ACCOUNT)
    path = book / "max_price.json"
    path.write_text('{"600000.SH": 10.5}')
    run("import_positions", path, "--account", ACCOUNT, "--replace-positions")
    assert store.get_held_days("600000.SH", ACCOUNT) == 3


def test_result_keeps_the_first_rejects_and_the_file_has_all(tmp_path, data_dir):
    path = write_orders(
        tmp_path / "prod_pwc" / "deal_hist.csv", *[ROW.replace("市买", "?")] * 2500, ROW
    )
    folder = RejectsFolder(data_dir / "rejects" / "one", tmp_path)
    result = import_trades(ClickHouseTrades(), path, "", options(rejects=folder))
    assert (result.read, result.new, result.rejected, len(result.rejects)) == (2501, 1, 2500, 1000)
    written = (folder.path / "prod_pwc" / "deal_hist.csv").read_text("utf-8-sig").splitlines()
    assert len(written) == 2501


# Cancelling and resuming ---------------------------------------------------------------------


def test_cancel_is_seen_between_batches_and_the_rest_comes_with_resume(store, account, cache):
    rows = [ROW.replace("10.5", f"{10 + n / 100:.2f}") for n in range(30)]
    write_orders(cache / "prod_pwc" / "deal_hist.csv", *rows)
    asked = []

    def is_cancelled():
        asked.append(len(trades_of(store)))
        return len(asked) == 2

    chosen = options(batch_size=10, watch=Watch(is_cancelled=is_cancelled))
    with pytest.raises(Cancelled):
        list(run_import(explore(cache), store, actors.command("test"), chosen))
    assert asked == [10, 20]
    assert len(trades_of(store)) == 20
    result = run("import_trades", cache, "--account", ACCOUNT, "--resume")
    assert (result["total"]["new"], result["total"]["same"]) == (10, 20)


def bars_of_many_codes(cache, number):
    for place in range(number):
        rows = [BAR.replace("20250922", f"202509{day}") for day in range(15, 20)]
        write_bars(cache / "_daily_akshare" / f"600{place:03}.SH.csv", *rows)


def test_resume_passes_over_what_is_done_and_reports_the_whole(store, cache, data_dir):
    bars_of_many_codes(cache, 12)
    steps = []

    def is_cancelled():
        steps.append(1)
        return len(steps) == 3

    directory = explore(cache)
    chosen = options(account_id="", batch_size=10, watch=Watch(is_cancelled=is_cancelled))
    cursor = Cursor(data_dir, job_of(directory.root, ["klines"], chosen), resume=False)
    with pytest.raises(Cancelled):
        list(run_import(directory, store, actors.command("test"), chosen, cursor))
    done = len(store.read_kline_frame())
    assert 0 < done < 60
    changed = cache / "_daily_akshare" / "600000.SH.csv"
    write_bars(changed, BAR)
    result = run("import_klines", cache, "--resume")
    assert_adds_up(result)
    assert result["total"]["new"] == 60 - 5 + 1
    notes = [row["note"] for row in result["files"]]
    assert sum("by the run before" in note for note in notes) == done // 5 - 1
    assert not cursor.path.exists()


def test_run_with_other_options_is_not_gone_on_with(store, cache, data_dir):
    bars_of_many_codes(cache, 3)
    directory = explore(cache)
    limited = options(account_id="", since=date(2025, 9, 18))
    cursor = Cursor(data_dir, job_of(directory.root, ["klines"], limited), resume=False)
    list(run_import(directory, store, actors.command("test"), limited, cursor))
    assert run("import_klines", cache, "--resume")["total"]["new"] == 9


def test_resume_without_a_run_before_imports_everything(store, cache):
    bars_of_many_codes(cache, 3)
    assert run("import_klines", cache, "--resume")["total"]["new"] == 15
    again = run("import_klines", cache, "--resume")
    assert again["total"]["same"] == 15


def test_cut_line_of_the_cursor_costs_that_file_only(store, cache, data_dir):
    bars_of_many_codes(cache, 4)
    directory = explore(cache)
    cursor = Cursor(data_dir, ("job",), resume=False)
    results = list(run_import(directory, store, actors.command("test"), options(), cursor))
    text = cursor.path.read_text()
    cursor.path.write_text(text[:-40])
    again = Cursor(data_dir, ("job",), resume=True)
    assert len(again) == 3
    again.finish(results[-1:])
    assert len(Cursor(data_dir, ("job",), resume=True)) == 4


# A program that imports as a scheduled job does; it needs no account and so no relational rows.
JOB = """
import sys
from pathlib import Path
import django
django.setup()
from django.conf import settings
from storage_app.imports.cursor import Cursor
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.legacy.directory import explore
from storage_app.services import actors
from storage_app.stores.compose import create_data_store
directory = explore(Path(sys.argv[1]))
options = ImportOptions("55009728", settings.DATA_DIR / "calendar.csv", batch_size=100)
cursor = Cursor(settings.DATA_DIR, ("job",), resume=False)
store = create_data_store("hybrid")
list(run_import(directory, store, actors.command("job"), options, cursor))
"""


def test_import_killed_half_way_goes_on_without_doubling(store, cache, data_dir):
    bars_of_many_codes(cache, 200)
    rows = [ROW.replace("10.5", f"{10 + n / 1000:.3f}") for n in range(2000)]
    write_orders(cache / "prod_pwc" / "deal_hist.csv", *rows)
    database = settings.DATABASES["clickhouse"]["NAME"]
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, str(cache)],
        cwd=ROOT,
        env=os.environ
        | {"CLICKHOUSE_DATABASE": database, "DJANGO_SETTINGS_MODULE": "silverquant_site.settings"},
    )
    deadline = time.monotonic() + 120
    while len(store.read_kline_frame()) < 50:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    stored = len(store.read_kline_frame())
    assert stored < 1000
    cursor = Cursor(data_dir, ("job",), resume=True)
    assert len(cursor)
    found = list(run_import(explore(cache), store, actors.command("job"), options(), cursor))
    assert sum(result.read for result in found) == 3000
    passed_over = [result for result in found if "by the run before" in result.note]
    assert passed_over[0].path.name == "deal_hist.csv"
    assert 1 < len(passed_over) < len(found)
    assert len(store.read_kline_frame()) == 1000
    assert len({row["price"] for row in trades_of(store)}) == len(trades_of(store)) == 2000


def test_dry_run_leaves_no_cursor_and_no_rejects(account, cache, data_dir):
    write_orders(cache / "prod_pwc" / "deal_hist.csv", ROW, "bad")
    result = run("import_trades", cache, "--account", ACCOUNT, "--dry-run", "--assume-filled")
    assert (result["status"], result["total"]["new"]) == (1, 1)
    assert not (data_dir / "rejects").exists()
    assert not (data_dir / "imports").exists()
