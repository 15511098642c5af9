from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from storage_app.legacy.orders import read_orders
from storage_app.legacy.text import LegacyFileError
from trades_app.market import clock

ROOT = Path(__file__).resolve().parents[2]
HEADER = "日期,时间,代码,名称,类型,注释,成交价,成交量"
ROW = "2025-09-22,09:31:05,600000.SH,浦发银行,市买委托,买入委托,10.5,1000"


def write(path, *rows, encoding="gbk", header=HEADER):
    path.write_bytes((header + "\r\n" + "".join(f"{row}\r\n" for row in rows)).encode(encoding))
    return path


def with_value(column, value):
    fields = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | {column: value}
    return ",".join(fields.values())


def test_gbk_row_arrives_with_its_chinese_text(tmp_path):
    (order,) = read_orders(write(tmp_path / "deal_hist.csv", ROW)).orders
    assert order.ordered_at == datetime(2025, 9, 22, 9, 31, 5, tzinfo=clock.SHANGHAI)
    assert (order.code, order.name, order.remark) == ("600000.SH", "浦发银行", "买入委托")
    assert (order.order_type, order.price_type) == ("buy_order", "market")
    assert (order.price, order.volume, order.line) == (Decimal("10.5"), 1000, 2)


@pytest.mark.parametrize(
    ("text", "order_type", "price_type"),
    [
        ("市买委托", "buy_order", "market"),
        ("限买委托", "buy_order", "limit"),
        ("市卖委托", "sell_order", "market"),
        ("限卖委托", "sell_order", "limit"),
        ("卖出委托", "sell_order", "unknown"),
        ("买入成交", "buy_trade", "unknown"),
        ("卖出成交", "sell_trade", "unknown"),
        ("buy", "buy_order", "unknown"),
        ("sell_trade", "sell_trade", "unknown"),
    ],
)
def test_kinds_of_all_versions(tmp_path, text, order_type, price_type):
    (order,) = read_orders(write(tmp_path / "deal_hist.csv", with_value("类型", text))).orders
    assert (order.order_type, order.price_type) == (order_type, price_type)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("类型", "撤单"),
        ("类型", ""),
        ("日期", "2025-02-30"),
        ("日期", "2099-01-01"),
        ("时间", "25:00:00"),
        ("代码", "000001"),
        ("代码", "000001.SH"),
        ("代码", "腾讯"),
        ("成交价", "nan"),
        ("成交价", "0"),
        ("成交价", "-1"),
        ("成交量", "0"),
        ("成交量", "12.5"),
        ("成交量", ""),
    ],
)
def test_bad_value_is_quarantined_with_its_place_and_the_good_row_comes_in(tmp_path, column, value):
    bad = with_value(column, value)
    content = read_orders(write(tmp_path / "deal_hist.csv", bad, ROW))
    assert [order.line for order in content.orders] == [3]
    (rejected,) = content.rejected
    assert (rejected.line, rejected.column, rejected.value) == (2, column, value)
    assert rejected.raw == bad


@pytest.mark.parametrize(
    ("column", "value", "attribute", "expected"),
    [
        ("代码", "1.SZ", "code", "000001.SZ"),
        ("代码", "2594", "code", "002594.SZ"),
        ("代码", "128136.--", "code", "128136.SZ"),
        ("代码", "204001.SH", "code", "204001.SH"),
        ("成交价", "10.500", "price", Decimal("10.5")),
        ("成交价", '"1,710.05"', "price", Decimal("1710.05")),
        ("成交量", "1000.0", "volume", 1000),
        ("成交量", '"12,300"', "volume", 12300),
        ("名称", "[Unknown]", "name", "[Unknown]"),
        ("名称", "*ST 大　唐", "name", "*ST 大　唐"),
        ("注释", "WR上穿25卖", "remark", "WR上穿25卖"),
    ],
)
def test_damage_of_spreadsheets_is_healed_where_the_meaning_is_certain(
    tmp_path, column, value, attribute, expected
):
    (order,) = read_orders(write(tmp_path / "deal_hist.csv", with_value(column, value))).orders
    assert getattr(order, attribute) == expected


def test_spreadsheet_dates_and_times_are_read(tmp_path):
    row = ROW.replace("2025-09-22,09:31:05", "2025/9/22,9:31:05")
    (order,) = read_orders(write(tmp_path / "deal_hist.csv", row)).orders
    assert order.ordered_at == datetime(2025, 9, 22, 9, 31, 5, tzinfo=clock.SHANGHAI)


def test_rewriting_by_a_spreadsheet_does_not_change_the_identity(tmp_path):
    plain = read_orders(write(tmp_path / "a.csv", ROW)).orders
    rewritten = '2025/9/22,9:31:05,600000.SH,浦发银行,市买委托,买入委托,10.500,"1,000.0"'
    again = read_orders(write(tmp_path / "b.csv", rewritten, encoding="utf-8-sig")).orders
    assert [order.content for order in plain] == [order.content for order in again]


def test_equal_rows_of_one_second_are_two_orders(tmp_path):
    orders = read_orders(write(tmp_path / "deal_hist.csv", ROW, ROW, ROW)).orders
    assert [order.ordinal for order in orders] == [0, 1, 2]
    assert len({order.content for order in orders}) == 3


def test_time_zone_of_the_host_moves_the_moment_and_not_the_identity(tmp_path):
    row = ROW.replace("09:31:05", "01:31:05")
    path = write(tmp_path / "deal_hist.csv", row)
    (utc,) = read_orders(path, ZoneInfo("UTC")).orders
    (local,) = read_orders(path).orders
    assert utc.ordered_at == datetime(2025, 9, 22, 9, 31, 5, tzinfo=clock.SHANGHAI)
    assert utc.content == local.content


def test_rows_outside_trading_hours_are_flagged(tmp_path):
    path = write(tmp_path / "deal_hist.csv", ROW, ROW.replace("09:31:05", "01:31:05"))
    assert "1 row outside trading hours" in read_orders(path).note
    assert read_orders(write(tmp_path / "b.csv", ROW)).note == ""


def test_blank_lines_and_repeated_header_are_skipped(tmp_path):
    content = read_orders(write(tmp_path / "deal_hist.csv", "", ROW, HEADER, ",,,,,,,", ROW))
    assert len(content.orders) == 2
    assert content.rejected == []


def test_file_without_its_header_is_refused(tmp_path):
    with pytest.raises(LegacyFileError, match="line 1 column 日期"):
        read_orders(write(tmp_path / "deal_hist.csv", ROW, header=ROW))


# Reads a log and prints the peak of its memory in MB.
READING = """
import sys
from pathlib import Path
from django.conf import settings
settings.configure(USE_I18N=False, DATA_DIR=Path(sys.argv[1]).parent)
from storage_app.legacy.orders import read_order_batches
rows = sum(len(batch.orders) for batch in read_order_batches(Path(sys.argv[1])))
status = Path("/proc/self/status").read_text()
print(rows, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Of a row eight bytes are kept, so that equal rows far apart are known as two orders."""
    peaks = []
    for rows in (10_000, 150_000):
        path = write(tmp_path / f"{rows}.csv", *[f"{ROW[:-4]}{n + 1}" for n in range(rows)])
        command = [sys.executable, "-c", READING, str(path)]
        found, peak = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(found) == rows
        peaks.append(int(peak))
    # All rows at once would take 110 MB.
    assert peaks[1] - peaks[0] < 60


def test_header_alone_is_an_empty_file_of_orders(tmp_path):
    content = read_orders(write(tmp_path / "deal_hist.csv"))
    assert (content.orders, content.rejected) == ([], [])
