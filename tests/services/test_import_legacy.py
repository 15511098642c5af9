from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from storage_app.contract.types import PositionFlag
from storage_app.models import Account, AccountSnapshot
from storage_app.stores.compose import create_data_store
from tests import servers
from trades_app.market import clock

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo" / "silverquant"
ACCOUNT = "55009728"
CREATE = ("--create-account", "--environment", "paper", "--broker", "QMT")
HEADER = "日期,时间,代码,名称,类型,注释,成交价,成交量"
ROW = "2025-09-22,09:31:05,600000.SH,浦发银行,市买委托,买入委托,10.5,1000"

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse", "data_dir", "english"),
]


def run(directory, *arguments):
    """Import and return the JSON result with the exit status and the complaints."""
    out, err = StringIO(), StringIO()
    status = 0
    try:
        call_command(
            "import_legacy", str(directory), "--account", ACCOUNT, *arguments, "--json",
            stdout=out, stderr=err,
        )  # fmt: skip
    except CommandError as exc:
        status = exc.returncode
        err.write(str(exc))
    result = json.loads(out.getvalue()) if out.getvalue() else {"files": []}
    files = {Path(row["file"]).name: row for row in result["files"]}
    return result | {"status": status, "errors": err.getvalue(), "by_name": files}


def assert_adds_up(result):
    for row in result["files"]:
        assert row["read"] == row["new"] + row["same"] + row["rejected"], row
        assert row["rejected"] == len(row["rejects"])
    for name in ("read", "new", "same", "rejected"):
        assert result["total"][name] == sum(row[name] for row in result["files"])


@pytest.fixture
def store():
    store = create_data_store("hybrid")
    yield store
    store.close()


@pytest.fixture
def source(tmp_path):
    """A small directory of one book; tests write over its files."""
    book = tmp_path / "cache" / "prod_pwc"
    book.mkdir(parents=True)
    (book / "positions.json").write_text(
        '{\n"_inc_date": "2025-09-22",\n"600000.SH": {"day_count": 3},\n'
        '"000001.SZ": {"day_count": null}\n}'
    )
    (book / "max_price.json").write_text('{"600000.SH": 10.5}')
    (book / "min_price.json").write_text('{"600000.SH": 9.9}')
    write_orders(book / "deal_hist.csv", ROW)
    (book / "assets.csv").write_text("date,asset\n2025-09-22,100000\n2025-09-23,100100.5\n")
    bars = book.parent / "_daily_akshare"
    bars.mkdir()
    write_bars(bars / "600000.SH.csv", "20250922,10,10.5,9.9,10.2,1000000,10200000")
    return book.parent


def write_orders(path, *rows):
    path.write_bytes((HEADER + "\r\n" + "".join(f"{row}\r\n" for row in rows)).encode("gbk"))


def write_bars(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["datetime,open,high,low,close,volume,amount", *rows, ""])
    path.write_text(text)


def test_demo_comes_in_whole_and_a_second_run_adds_nothing(store, data_dir):
    first = run(DEMO, *CREATE, "--demo")
    assert first["status"] == 0, first["errors"]
    assert_adds_up(first)
    counts = {name: (row["read"], row["new"]) for name, row in first["by_name"].items()}
    assert counts["_open_day_list_sina.csv"] == (8797, 8797)
    assert counts["deal_hist.csv"] == (168, 168)
    assert counts["assets.csv"] == (266, 262)
    assert counts["600809.SH.csv"] == (1453, 1453)
    again = run(DEMO, *CREATE, "--demo")
    assert again["status"] == 0
    assert_adds_up(again)
    assert again["total"]["new"] == 0
    assert again["total"]["read"] == first["total"]["read"]
    assert len(list(store.iter_trades(ACCOUNT))) == 168


def test_demo_answers_through_the_store(store):
    run(DEMO, *CREATE, "--demo")
    book = store.read_book(ACCOUNT)
    assert book.increment_date == date(2017, 7, 26)
    assert store.get_held_days("002594.SZ", ACCOUNT) == 17
    assert store.get_held_days("600036.SH", ACCOUNT) is None
    assert store.get_max_price("002594.SZ", ACCOUNT) == 51.53
    assert store.get_min_price("300059.SZ", ACCOUNT) == 10.2
    paper = store.read_book(f"{ACCOUNT}/test")
    assert paper.increment_date == date(2017, 7, 20)
    assert paper.positions["300059.SZ"].held_days == 3
    assert paper.positions["300059.SZ"].max_price == 11.62
    account = store.get_account(ACCOUNT)
    assert account["environment"] == "paper"
    assert account["initial_capital"] == 200607.14
    assert account["total_assets"] is not None
    assert Account.objects.get(account_id=ACCOUNT).is_demo
    assert AccountSnapshot.objects.filter(account__account_id=ACCOUNT).count() == 262


def test_chinese_text_of_the_gbk_file_arrives(store):
    run(DEMO, *CREATE)
    (order,) = store.query_trades(ACCOUNT, "2016-07-05", "2016-07-05")
    assert (order["name"], order["remark"]) == ("山西汾酒", "跌破止损卖出")
    assert (order["order_type"], order["price_type"]) == ("sell_order", "market")
    assert order["timestamp"] == datetime(2016, 7, 5, 14, 56, 9, tzinfo=clock.SHANGHAI)
    assert (order["price"], order["volume"], order["source"]) == (22.22, 500, "legacy")


def test_every_price_of_the_demo_arrives_exactly(store, clickhouse):
    run(DEMO, *CREATE)
    for path in sorted((DEMO / "_daily_akshare").glob("*.csv")):
        with path.open(newline="") as lines:
            expected = [
                (
                    clock.parse_date(row["datetime"]),
                    *(Decimal(row[name]) for name in ("open", "high", "low", "close")),
                    int(row["volume"]),
                    Decimal(row["amount"]),
                )
                for row in csv.DictReader(lines)
            ]
        with clickhouse.cursor() as cursor:
            cursor.execute(
                "SELECT trade_date, open, high, low, close, volume, amount FROM daily_kline FINAL "
                "WHERE code = %s AND adjust = 'none' ORDER BY trade_date",
                [path.stem],
            )
            assert [tuple(row) for row in cursor.fetchall()] == expected
        frame = store.get_kline(path.stem)
        assert frame["close"].tolist() == [float(row[4]) for row in expected]


def test_imported_days_become_the_calendar(data_dir):
    run(DEMO, *CREATE)
    lines = (data_dir / "calendar.csv").read_text().splitlines()
    assert lines[:2] == ["trade_date", "1990-12-19"]
    assert len(lines) == 8798
    assert [path.name for path in data_dir.glob("calendar*")] == ["calendar.csv"]


def test_newer_calendar_closes_days_and_older_ones_stay(data_dir, source):
    (data_dir / "calendar.csv").write_text("trade_date\n2025-09-19\n2025-09-22\n2025-09-23\n")
    listed = source / "_open_day_list_sina.csv"
    listed.write_text(",trade_date\n0,2025-09-22\n1,2025-09-24\n")
    result = run(source, *CREATE)
    assert result["status"] == 0
    stored = (data_dir / "calendar.csv").read_text().split()
    assert stored == ["trade_date", "2025-09-19", "2025-09-22", "2025-09-24"]
    assert "1 day is not a trading day any more" in result["by_name"][listed.name]["note"]


def test_calendar_with_a_bad_row_never_closes_a_day(data_dir, source):
    listed = source / "_open_day_list_sina.csv"
    listed.write_text(",trade_date\n0,2025-09-22\n1,2025-09-3x\n2,2025-09-24\n")
    result = run(source, *CREATE)
    assert result["status"] == 1
    assert "_open_day_list_sina.csv line 3 column trade_date value '2025-09-3x'" in result["errors"]
    stored = (data_dir / "calendar.csv").read_text().split()
    assert stored == ["trade_date", "2025-09-22", "2025-09-23", "2025-09-24"]


def test_damaged_calendar_is_replaced_by_a_good_list(data_dir, source):
    (data_dir / "calendar.csv").write_text("trade_date\n2025-0")
    (source / "_open_day_list_sina.csv").write_text(",trade_date\n0,2025-09-22\n")
    result = run(source, *CREATE)
    assert result["status"] == 0, result["errors"]
    assert "damaged" in result["by_name"]["_open_day_list_sina.csv"]["note"]


def test_prices_without_a_holding_come_in_as_leftovers(store, source):
    (source / "prod_pwc" / "max_price.json").write_text(
        '{"600000.SH": 10.5, "000001.SZ": 12, "002594.SZ": 300}'
    )
    result = run(source, *CREATE)
    assert "2 without a holding" in result["by_name"]["max_price.json"]["note"]
    positions = store.get_positions(ACCOUNT)
    assert positions["600000.SH"].flag is PositionFlag.CLEAR
    for code in ("000001.SZ", "002594.SZ"):
        assert positions[code].held_days is None
        assert positions[code].flag is PositionFlag.LEFTOVER
    assert run(source)["total"]["new"] == 0


def test_plural_price_files_of_old_versions_are_read(store, source):
    book = source / "prod_pwc"
    (book / "max_price.json").rename(book / "max_prices.json")
    (book / "min_price.json").rename(book / "min_prices.json")
    run(source, *CREATE)
    state = store.get_positions(ACCOUNT)["600000.SH"]
    assert (state.max_price, state.min_price) == (10.5, 9.9)


def test_lowest_price_above_the_highest_is_rejected(store, source):
    (source / "prod_pwc" / "min_price.json").write_text('{"600000.SH": 10.6}')
    result = run(source, *CREATE)
    assert result["status"] == 1
    assert "min_price.json line 1 column 600000.SH value '10.6'" in result["errors"]
    assert store.get_min_price("600000.SH", ACCOUNT) is None
    assert store.get_max_price("600000.SH", ACCOUNT) == 10.5


def test_book_that_trading_moved_on_is_not_turned_back(store, source):
    run(source, *CREATE)
    store.increment_held_days(ACCOUNT, date(2025, 9, 23))
    store.delete_held_days("000001.SZ", ACCOUNT)
    store.raise_extremes(ACCOUNT, {"600000.SH": ("11", "9.9")})
    result = run(source)
    assert result["status"] == 1
    assert_adds_up(result)
    assert "already has 4" in result["errors"]
    assert "already has 11.0" in result["errors"]
    assert "may be closed by now" in result["errors"]
    book = store.read_book(ACCOUNT)
    assert book.increment_date == date(2025, 9, 23)
    assert book.positions["600000.SH"].held_days == 4
    assert "000001.SZ" not in book.positions


def test_replace_positions_takes_the_word_of_the_files(store, source):
    run(source, *CREATE)
    store.increment_held_days(ACCOUNT, date(2025, 9, 23))
    store.open_positions(ACCOUNT, ["300059.SZ"])
    result = run(source, "--replace-positions")
    assert result["status"] == 0
    book = store.read_book(ACCOUNT)
    assert book.increment_date == date(2025, 9, 22)
    assert book.positions["600000.SH"].held_days == 3
    assert "300059.SZ" not in book.positions


def test_corrected_row_comes_in_with_the_next_run(store, source):
    holdings = source / "prod_pwc" / "positions.json"
    text = holdings.read_text()
    holdings.write_text(
        text.replace('"000001.SZ": {"day_count": null}', '"2594": {"day_count": "x"}')
    )
    orders = source / "prod_pwc" / "deal_hist.csv"
    write_orders(orders, ROW, ROW.replace("市买委托", "撤单"), ROW.replace("10.5", "nan"))
    first = run(source, *CREATE)
    assert first["status"] == 1
    assert first["total"]["rejected"] == 3
    holdings.write_text(
        text.replace('"000001.SZ": {"day_count": null}', '"2594": {"day_count": 2}')
    )
    write_orders(orders, ROW, ROW, ROW.replace("10.5", "10.6"))
    second = run(source)
    assert second["status"] == 0, second["errors"]
    assert second["total"]["new"] == 3
    assert store.get_held_days("002594.SZ", ACCOUNT) == 2
    assert len(store.query_trades(ACCOUNT)) == 3


def test_rejected_rows_wait_in_a_file_with_their_reasons(data_dir, source):
    bad = ROW.replace("600000.SH", "000001")
    write_orders(source / "prod_pwc" / "deal_hist.csv", ROW, bad)
    result = run(source, *CREATE)
    assert result["status"] == 1
    line = "prod_pwc/deal_hist.csv line 3 column 代码 value '000001': code '000001' is ambiguous"
    assert line in result["errors"]
    (path,) = (data_dir / "rejects").glob("*/prod_pwc/deal_hist.csv")
    assert str(path.parents[1]) in result["errors"]
    with path.open(encoding="utf-8-sig", newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["line"], row["column"], row["value"], row["raw"]) == ("3", "代码", "000001", bad)
    assert "000001.SZ" in row["reason"]


def test_cut_json_is_refused_in_one_line_and_the_rest_comes_in(store, source):
    (source / "prod_pwc" / "positions.json").write_text('{\n"600000.SH": {"day_c')
    result = run(source, *CREATE)
    assert result["status"] == 1
    complaints = [line for line in result["errors"].splitlines() if "positions.json line" in line]
    assert len(complaints) == 1
    assert "line 2 column character" in complaints[0]
    assert store.get_positions(ACCOUNT) == {}
    assert result["by_name"]["max_price.json"]["refused"]
    assert result["by_name"]["deal_hist.csv"]["new"] == 1
    assert result["by_name"]["600000.SH.csv"]["new"] == 1


def test_bad_bar_is_rejected_and_the_others_of_the_file_come_in(store, source):
    good = ["20250922,10,10.5,9.9,10.2,1000000,10200000", "20250924,10,10,10,10,0,0"]
    bad = "20250923,10,x,9.9,10.2,1000000,10200000"
    write_bars(source / "_daily_akshare" / "600000.SH.csv", good[0], bad, good[1])
    result = run(source, *CREATE)
    assert result["status"] == 1
    assert "600000.SH.csv line 3 column high value 'x'" in result["errors"]
    assert store.get_kline("600000.SH")["datetime"].tolist() == [20250922, 20250924]


def test_revised_bars_replace_those_of_an_earlier_import(store, source):
    run(source, *CREATE)
    path = source / "_daily_akshare" / "600000.SH.csv"
    write_bars(path, "20250922,10,10.5,9.9,10.3,1000000,10200000")
    result = run(source)
    assert (result["by_name"][path.name]["new"], result["status"]) == (1, 0)
    assert "1 replaced" in result["by_name"][path.name]["note"]
    assert store.get_kline("600000.SH")["close"].tolist() == [10.3]


def test_first_source_counts_where_two_tell_of_one_bar(store, source):
    same = "20250922,10,10.5,9.9,10.2,1000000,10200000"
    other = "20250923,10,10.5,9.9,10.2,1000000,10200000"
    write_bars(source / "_daily_akshare" / "600000.SH.csv", same, other)
    path = source / "_daily_tushare" / "kline" / "600000.SH.csv"
    write_bars(path, same, other.replace("10.2,", "10.3,"), other.replace("0923", "0924"))
    result = run(source, *CREATE)
    row = next(row for row in result["files"] if "tushare" in row["file"])
    assert (row["read"], row["new"], row["same"], row["rejected"]) == (3, 1, 1, 1)
    assert "akshare has other values" in row["rejects"][0]["reason"]
    assert store.get_kline("600000.SH")["close"].tolist() == [10.2, 10.2, 10.2]


def test_adjusted_bars_keep_a_series_of_their_own(store, source):
    write_bars(
        source / "_daily_akshare" / "600000.SH.csv",
        "20140106,-0.55,-0.5,-0.6,-0.52,1000000,10200000",
        "20250922,10,10.5,9.9,10.2,1000000,10200000",
    )
    result = run(source, *CREATE, "--adjust", "qfq")
    assert result["status"] == 0, result["errors"]
    assert store.get_kline("600000.SH", adjust="none").empty
    assert store.get_kline("600000.SH", adjust="qfq")["low"].tolist() == [-0.6, 9.9]


def test_many_files_come_in_as_blocks(store, source):
    for number in range(230):
        code = f"600{number:03}.SH"
        price = f"{10 + number / 100:.2f}"
        row = f"20250922,{price},{price},{price},{price},100,{float(price) * 100:.2f}"
        write_bars(source / "_daily_akshare" / f"{code}.csv", row)
    assert run(source, *CREATE)["total"]["new"] >= 230
    frame = store.read_kline_frame()
    assert len(frame) == 230
    assert sorted(frame["close"])[:2] == [10.0, 10.01]
    assert run(source)["total"]["new"] == 0


def test_orders_of_the_paper_folder_carry_its_name(store, source):
    folder = source / "test_pwc"
    folder.mkdir()
    write_orders(folder / "deal_hist.csv", ROW)
    (folder / "assets.csv").write_text("date,asset\n2025-09-22,5\n")
    result = run(source, *CREATE)
    rows = store.query_trades(ACCOUNT)
    assert sorted(row["strategy_name"] for row in rows) == ["", "test"]
    paper = [row for row in result["files"] if row["file"].endswith("test_pwc/assets.csv")]
    assert "left out" in paper[0]["note"]
    assert not AccountSnapshot.objects.filter(total_assets=5).exists()


def test_zone_of_the_host_is_applied_and_another_zone_is_no_second_copy(store, source):
    write_orders(source / "prod_pwc" / "deal_hist.csv", ROW.replace("09:31:05", "01:31:05"))
    run(source, *CREATE, "--tz", "UTC")
    (row,) = store.query_trades(ACCOUNT)
    assert row["timestamp"] == datetime(2025, 9, 22, 9, 31, 5, tzinfo=clock.SHANGHAI)
    result = run(source)
    assert result["status"] == 1
    assert "zone" in result["by_name"]["deal_hist.csv"]["refused"]
    assert len(store.query_trades(ACCOUNT)) == 1


def test_net_value_that_the_trading_program_recorded_is_kept(store, source):
    run(source, *CREATE)
    snapshot = AccountSnapshot.objects.get(trade_date=date(2025, 9, 23))
    snapshot.source, snapshot.total_assets = "trader", Decimal(7)
    snapshot.save()
    result = run(source)
    assert result["status"] == 0
    assert_adds_up(result)
    assert "1 kept" in result["by_name"]["assets.csv"]["note"]
    snapshot.refresh_from_db()
    assert snapshot.total_assets == 7


def test_dry_run_counts_like_the_run_and_writes_nothing(store, source, data_dir):
    (source / "_open_day_list_sina.csv").write_text(",trade_date\n0,2025-09-22\n")
    dry = run(source, *CREATE, "--dry-run")
    assert not Account.objects.exists()
    assert store.get_positions(ACCOUNT) == {}
    assert store.query_trades(ACCOUNT) == []
    assert store.read_kline_frame().empty
    assert list(data_dir.glob("calendar*")) == []
    wet = run(source, *CREATE)
    assert [row["new"] for row in dry["files"]] == [row["new"] for row in wet["files"]]
    again = run(source, "--dry-run")
    assert again["total"]["new"] == 0
    assert again["total"]["same"] == wet["total"]["read"]


def test_account_is_opened_only_when_asked(source):
    result = run(source)
    assert result["status"] == 1
    assert "there is no account 55009728" in result["errors"]
    assert not Account.objects.exists()


def test_capital_comes_from_the_first_net_value_and_the_output_says_so(source):
    result = run(source, *CREATE)
    assert "capital 100,000.00 from the first value of assets.csv (2025-09-22)" in result["account"]
    account = Account.objects.get(account_id=ACCOUNT)
    assert account.initial_capital == 100_000
    assert not account.is_demo


def test_given_capital_and_name_win(source):
    run(source, *CREATE, "--capital", "500000", "--name", "模拟盘")
    account = Account.objects.get(account_id=ACCOUNT)
    assert (account.initial_capital, account.account_name) == (500_000, "模拟盘")


def test_account_of_another_environment_is_a_conflict(source):
    run(source, "--create-account", "--broker", "QMT")
    result = run(source, *CREATE)
    assert result["status"] == 1
    assert "55009728-paper" in result["errors"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--create-account", "--environment", "paper"),
        ("--create-account", "--broker", "QMT", "--capital", "-5"),
    ],
)
def test_account_that_cannot_be_opened_as_asked_is_wrong_use(source, arguments):
    assert run(source, *arguments)["status"] == 2
    assert not Account.objects.exists()


def test_server_that_is_down_ends_with_status_3_and_the_next_run_completes(source):
    servers.CLICKHOUSE.stop()
    try:
        result = run(source, *CREATE)
        assert result["status"] == 3
        assert "clickhouse is unavailable" in result["errors"]
        assert len(result["errors"].splitlines()) == 1
    finally:
        servers.CLICKHOUSE.start()
    assert run(source)["status"] == 0


def test_server_that_is_slow_to_answer_is_waited_for(source):
    servers.CLICKHOUSE.freeze()
    thawing = threading.Timer(1.0, servers.CLICKHOUSE.thaw)
    thawing.start()
    try:
        result = run(source, *CREATE)
    finally:
        thawing.join()
    assert result["status"] == 0, result["errors"]
    assert result["by_name"]["600000.SH.csv"]["new"] == 1


def test_table_has_a_line_per_file_and_a_total(source):
    out = StringIO()
    call_command("import_legacy", str(source), "--account", ACCOUNT, *CREATE, stdout=out)
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if "deal_hist.csv" in line)
    assert row.split()[:6] == ["prod_pwc/deal_hist.csv", "orders", "1", "1", "0", "0"]
    assert lines[-1].split()[1:5] == ["8", "8", "0", "0"]


def test_folder_of_many_files_is_one_line_beside_its_bad_files(source):
    for number in range(40):
        row = "20250922,10,10,10,10,100,1000"
        write_bars(source / "_daily_akshare" / f"600{number:03}.SH.csv", row)
    write_bars(source / "_daily_akshare" / "600001.SH.csv", "2025092x,10,10,10,10,100,1000")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(
            "import_legacy", str(source), "--account", ACCOUNT, *CREATE, stdout=out, stderr=out
        )
    bars = [line for line in out.getvalue().splitlines() if line.startswith("_daily_akshare")]
    assert [line.split()[0] for line in bars] == ["_daily_akshare/600001.SH.csv", "_daily_akshare/"]
    assert "39" in bars[1].split()


def manage(*arguments):
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "manage.py", "import_legacy", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_directory_ends_with_status_1_and_one_line(tmp_path):
    done = manage(str(tmp_path / "missing"), "--account", ACCOUNT)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "missing") in line
    assert "cannot be read" in line


@pytest.mark.parametrize(
    "arguments", [("--tz", "Mars/Base"), ("--capital", "much"), ("--environment", "dream")]
)
def test_wrong_use_ends_with_status_2(arguments):
    done = manage(str(DEMO), "--account", ACCOUNT, *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


def test_demo_is_what_its_script_makes_of_a_directory(tmp_path):
    copy = tmp_path / "copy"
    script = ROOT / "scripts" / "make_demo.py"
    subprocess.run([sys.executable, str(script), str(DEMO), str(copy)], check=True)
    made = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*.*")}
    kept = {path.relative_to(DEMO): path.read_bytes() for path in DEMO.rglob("*.*")}
    assert made == kept


def test_demo_script_refuses_a_directory_with_a_bad_row(tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(DEMO, bad)
    with (bad / "prod_pwc" / "deal_hist.csv").open("ab") as lines:
        lines.write(b"2016-07-05,junk\r\n")
    script = ROOT / "scripts" / "make_demo.py"
    done = subprocess.run(
        [sys.executable, str(script), str(bad), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "deal_hist.csv line 170" in done.stderr
    assert not (tmp_path / "out").exists()
