"""One directory with every kind of damage that files of strategies are known to have.

It is made from the demo: its own rows, rewritten by the programs that rewrite such files. What is
certain comes in, what is not is rejected with its line, and nothing is counted twice or lost.
"""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from storage_app.contract.types import PositionFlag
from storage_app.models import Account
from storage_app.stores.compose import create_data_store
from tests.services.importing import ACCOUNT, CREATE, DEMO, HEADER, assert_adds_up, run

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse", "data_dir", "english"),
]


def demo_orders():
    text = (DEMO / "prod_pwc" / "deal_hist.csv").read_text("gbk")
    return text.splitlines()[1:]


def demo_bars(code):
    return (DEMO / "_daily_akshare" / f"{code}.csv").read_text().splitlines()[1:]


@pytest.fixture
def golden(tmp_path):
    cache = tmp_path / "_cache"
    shutil.copytree(DEMO, cache)
    (cache / "README.md").unlink()
    return cache


@pytest.fixture
def store():
    store = create_data_store("hybrid")
    yield store
    store.close()


def spoil_orders(book):
    """Write the log as Windows, Linux and a spreadsheet have left it, in one file."""
    rows = demo_orders()
    good = [
        rows[0],
        rows[0],  # two orders of one second
        rows[1].replace("-", "/"),
        spreadsheet(rows[2]),
        rows[3].replace(rows[3].split(",")[3], "*ST 大　唐"),
        rows[4].replace(rows[4].split(",")[3], "[Unknown]"),
    ]
    bad = [
        with_value(rows[5], "类型", "部成部撤"),
        with_value(rows[6], "成交价", "nan"),
        with_value(rows[7], "代码", "000001"),
        with_value(rows[8], "代码", "000001.SH"),
        with_value(rows[9], "成交量", "12.5"),
        rows[10].rsplit(",", 1)[0],
    ]
    ends = ("\r\n", "\n", "\r")
    lines = [HEADER, *good[:3], "", HEADER, *good[3:], *bad]
    text = "".join(line + ends[number % 3] for number, line in enumerate(lines))
    (book / "deal_hist.csv").write_bytes(text.encode("gb18030"))
    return good, bad


def spreadsheet(row):
    """Return a row as a spreadsheet saves it: numbers regrouped, leading zeros of codes lost."""
    day, time, code, name, kind, remark, price, volume = row.split(",")
    number, market = code.split(".")
    return ",".join(
        (
            day.replace("-0", "-").replace("-", "/"), time.lstrip("0"),
            f"{int(number)}.{market}", name, kind, remark, f"{float(price):.4f}",
            f'"{int(volume):,}.0"',
        )
    )  # fmt: skip


def with_value(row, column, value):
    fields = dict(zip(HEADER.split(","), row.split(","), strict=True))
    return ",".join((fields | {column: value}).values())


def test_orders_of_every_writer(golden, store):
    good, bad = spoil_orders(golden / "prod_pwc")
    result = run("import_trades", golden, "--account", *account())
    row = result["by_name"]["deal_hist.csv"]
    assert (row["read"], row["new"], row["rejected"]) == (len(good) + len(bad), len(good), len(bad))
    assert "2 blank or repeated header lines" in row["note"]
    assert [(one["column"], one["value"]) for one in row["rejects"][:5]] == [
        ("类型", "部成部撤"), ("成交价", "nan"), ("代码", "000001"), ("代码", "000001.SH"),
        ("成交量", "12.5"),
    ]  # fmt: skip
    assert [one["line"] for one in row["rejects"]] == list(range(10, 16))
    stored = list(store.iter_trades(ACCOUNT))
    assert {one["order_type"] for one in stored} <= {"buy_order", "sell_order"}
    assert {"*ST 大　唐", "[Unknown]"} <= {one["name"] for one in stored}
    healed = demo_orders()[2].split(",")
    match = [
        one for one in stored
        if (str(one["trade_date"]), one["code"]) == (healed[0], healed[2])
        and f"{one['timestamp']:%H:%M:%S}" == healed[1]
    ]  # fmt: skip
    assert (match[0]["price"], match[0]["volume"]) == (float(healed[6]), int(healed[7]))
    again = run("import_trades", golden, "--account", ACCOUNT)
    assert (again["total"]["new"], again["total"]["same"]) == (0, len(good))


def account():
    Account.objects.create(
        account_id=ACCOUNT, account_name="x", broker="QMT", environment="paper", initial_capital=1
    )
    return (ACCOUNT,)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_orders_whatever_wrote_the_file(golden, store, encoding, end):
    account()
    run("import_trades", DEMO, "--account", ACCOUNT)
    text = end.join([HEADER, *demo_orders(), ""])
    (golden / "prod_pwc" / "deal_hist.csv").write_bytes(text.encode(encoding))
    result = run("import_trades", golden, "--account", ACCOUNT)
    assert (result["total"]["new"], result["total"]["same"]) == (0, 168)


def test_holdings_of_every_version(golden, store):
    account()
    (golden / "prod_pwc" / "positions.json").write_text(
        json.dumps(
            {
                "_inc_date": "2017-07-26",
                "_note": "metadata",
                "002594.SZ": {"day_count": 17, "more": 1},
                "600036.SH": {"day_count": None},
                "2.SZ": 4,
                "300059.SZ": "5",
                "SHSE.600809": 6.0,
                "600000.SH": {"days": 1},
                "600001.SH": {"day_count": -1},
                "000001": 3,
                "204001.SH": 1,
            },
            indent=4,
        )
    )
    for name in ("max_price", "min_price"):
        path = golden / "prod_pwc" / f"{name}.json"
        path.rename(path.with_name(f"{name}s.json"))
    result = run("import_positions", golden, "--account", ACCOUNT)
    assert_adds_up(result)
    row = result["by_name"]["positions.json"]
    assert (row["new"], row["rejected"], "1 closed" in row["note"]) == (5, 4, True)
    book = store.read_book(ACCOUNT)
    assert book.increment_date == date(2017, 7, 26)
    assert {
        code: one.held_days
        for code, one in book.positions.items()
        if one.flag is PositionFlag.CLEAR
    } == {
        "002594.SZ": 17, "600036.SH": None, "000002.SZ": 4, "300059.SZ": 5, "600809.SH": 6,
    }  # fmt: skip
    assert book.positions["002594.SZ"].max_price == 51.53
    assert {Path(one["file"]).name for one in result["files"]} >= {
        "max_prices.json", "min_prices.json", "held_days.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    "damage", [b"", b'{\n"_inc_date": "2017-0', b"\xef\xbb\xbf{}", b"[]", b"{}\x00\x00"]
)
def test_damaged_holdings_are_refused_and_change_nothing(golden, store, damage):
    account()
    store.update_held_days("600000.SH", 3, ACCOUNT)
    (golden / "prod_pwc" / "positions.json").write_bytes(damage)
    result = run("import_positions", golden, "--account", ACCOUNT, "--replace-positions")
    assert result["status"] == 1
    assert result["by_name"]["positions.json"]["refused"]
    assert {code for code, _ in store.get_positions(ACCOUNT).items()} == {"600000.SH"}


def test_bars_of_every_source(golden, store):
    folder = golden / "_daily_mixed" / "kline"
    folder.mkdir(parents=True)
    header = "datetime,open,high,low,close,volume,amount"
    shares = demo_bars("600036.SH")[-60:]
    lots = [in_lots(row) for row in shares]
    suspended = f"20170801,{','.join([shares[-1].split(',')[4]] * 4)},0,0"

    def write(name, rows):
        (folder / f"{name}.csv").write_text("\n".join([header, *rows, ""]))

    write("600001.SH", lots)
    write("sh600002", [*shares, suspended])
    write("600003.SH", [*shares[:10], "", header, *shares[10:], shares[10]])
    write("600004.SH", [*shares[:7], shares[7].replace(",", ",x", 1), *shares[8:]])
    write("600005.SH", [halved(row) for row in shares])
    (folder / "600006.SH.csv").write_text("")
    write("000001", shares)
    write("000001.SH", shares)
    result = run("import_klines", golden / "_daily_mixed")
    assert_adds_up(result)
    rows = result["by_name"]
    assert "volume was in lots" in rows["600001.SH.csv"]["note"]
    assert "lots" not in rows["sh600002.csv"]["note"]
    assert (rows["sh600002.csv"]["new"], rows["000001.SH.csv"]["new"]) == (61, 60)
    assert (rows["600003.SH.csv"]["new"], rows["600003.SH.csv"]["same"]) == (60, 1)
    assert (rows["600004.SH.csv"]["new"], rows["600004.SH.csv"]["rejected"]) == (59, 1)
    assert "fits neither shares nor lots" in rows["600005.SH.csv"]["refused"]
    assert "empty" in rows["600006.SH.csv"]["refused"]
    assert "ambiguous" in rows["000001.csv"]["refused"]
    *expected, last = store.get_kline("600002.SH")["volume"].tolist()
    assert last == 0
    whole_lots = [volume // 100 * 100 for volume in expected]
    assert store.get_kline("600001.SH")["volume"].tolist() == whole_lots
    assert store.get_kline("000001.SZ").empty


def in_lots(row):
    *prices, volume, amount = row.split(",")
    return ",".join((*prices, str(int(float(volume)) // 100), amount))


def halved(row):
    """Return a row of a series whose prices were adjusted and whose amounts were not."""
    day, *prices, volume, amount = row.split(",")
    return ",".join((day, *(f"{float(price) / 2:.2f}" for price in prices), volume, amount))


def test_series_adjusted_backward_may_be_below_zero(golden, store):
    rows = demo_bars("600036.SH")[-40:]
    old = ["20140106,-0.55,-0.5,-0.6,-0.52,1000000,10200000"]
    path = golden / "_daily_tushare" / "600036.SH.csv"
    path.parent.mkdir()
    path.write_text("\n".join(["datetime,open,high,low,close,volume,amount", *old, *rows, ""]))
    result = run("import_klines", path.parent, "--adjust", "qfq")
    assert (result["status"], result["total"]["new"]) == (0, 41)
    assert store.get_kline("600036.SH", adjust="qfq")["low"].tolist()[0] == -0.6
    as_traded = run("import_klines", path.parent)
    assert as_traded["total"]["rejected"] == 1


def test_whole_golden_directory_adds_up_and_a_second_run_adds_nothing(golden, store):
    spoil_orders(golden / "prod_pwc")
    first = run("import_legacy", golden, "--account", ACCOUNT, *CREATE)
    assert first["status"] == 1
    assert_adds_up(first)
    second = run("import_legacy", golden, "--account", ACCOUNT)
    assert_adds_up(second)
    assert second["total"]["new"] == 0
    assert second["total"]["rejected"] == first["total"]["rejected"]
    assert second["total"]["read"] == first["total"]["read"]


def test_file_of_rejects_says_line_and_reason_of_each(golden, data_dir):
    _, bad = spoil_orders(golden / "prod_pwc")
    run("import_legacy", golden, "--account", ACCOUNT, *CREATE)
    (path,) = (data_dir / "rejects").glob("*/prod_pwc/deal_hist.csv")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["raw"] for row in rows] == bad
    assert all(row["reason"] and row["line"].isdecimal() for row in rows)
