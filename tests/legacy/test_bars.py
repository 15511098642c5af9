from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_app.contract.types import BAR_COLUMNS, Adjust
from storage_app.legacy.bars import read_bars
from storage_app.legacy.text import LegacyFileError
from trades_app.market import calendar, clock

HEADER = ",".join(BAR_COLUMNS)
GOOD = [
    "20250922,10.0,10.5,9.9,10.2,1000000,10200000.0",
    "20250923,10.2,10.4,10.0,10.1,2000000,20300000.0",
    "20250924,10.1,10.3,10.1,10.3,1500000,15300000.0",
]


def write(path, rows=GOOD, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def with_value(column, value, row=GOOD[1]):
    return ",".join(
        str(value) if name == column else field
        for name, field in zip(BAR_COLUMNS, row.split(","), strict=True)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "600000.SH.csv"


def test_bars_arrive_in_shares_and_yuan(path):
    content = read_bars(write(path))
    assert content.code == "600000.SH"
    assert content.frame["datetime"].tolist() == [20250922, 20250923, 20250924]
    assert content.frame["close"].tolist() == [10.2, 10.1, 10.3]
    assert content.frame["volume"].tolist() == [1e6, 2e6, 1.5e6]
    assert content.lines.tolist() == [2, 3, 4]
    assert (content.read, content.repeated, content.rejected, content.note) == (3, 0, [], "")


def test_volume_in_lots_becomes_shares(path):
    rows = [row.replace("00000,", "000,", 1) for row in GOOD]
    content = read_bars(write(path, rows))
    assert content.frame["volume"].tolist() == [1e6, 2e6, 1.5e6]
    assert "lots" in content.note


def test_days_of_little_trade_in_lots_are_not_mistaken(path):
    # 250 shares at 10.0 are written as 2 lots.
    content = read_bars(write(path, [row.replace("00000,", "000,", 1) for row in GOOD[:2]] + [
        "20250924,10.0,10.0,10.0,10.0,2,2500.0",
    ]))  # fmt: skip
    assert content.frame["volume"].iloc[-1] == 200
    assert content.rejected == []


def test_file_whose_unit_cannot_be_told_is_refused(path):
    rows = [row.replace("00000,", ",", 1) for row in GOOD]
    with pytest.raises(LegacyFileError, match=r"line 4 column volume.*lots"):
        read_bars(write(path, rows))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("datetime", "20250931", "not a date"),
        ("datetime", "20990105", "after today"),
        ("datetime", "x", "not a date"),
        ("open", "0", "above 0"),
        ("open", "", "not a number"),
        ("open", "nan", "not a number"),
        ("close", "11", "below open, low or close"),
        ("open", "9", "above open, high or close"),
        ("high", "9.95", "below open, low or close"),
        ("low", "1e9", "below 1,000,000"),
        ("volume", "-1", "whole number"),
        ("volume", "2000000.5", "whole number"),
        ("volume", "0", "no volume"),
        ("volume", "20000", "amount / volume"),
        ("amount", "0", "no amount"),
        ("amount", "-5", "negative"),
        ("amount", "2e14", "negative or too large"),
    ],
)
def test_bad_value_is_rejected_with_its_line_and_the_rest_comes_in(path, column, value, reason):
    bad = with_value(column, value)
    content = read_bars(write(path, [GOOD[0], bad, GOOD[2]]))
    assert content.frame["datetime"].tolist() == [20250922, 20250924]
    (rejected,) = content.rejected
    assert rejected.line == 3
    assert rejected.raw == bad
    assert reason in rejected.reason
    assert content.read == 3


def test_suspended_day_has_volume_zero_or_nothing(path):
    rows = [*GOOD, "20250925,10.3,10.3,10.3,10.3,0,0", "20250926,10.3,10.3,10.3,10.3,,"]
    content = read_bars(write(path, rows))
    assert content.frame["volume"].tolist()[-2:] == [0, 0]
    assert content.rejected == []


def test_adjusted_prices_may_fall_below_zero(path):
    rows = ["20140106,-0.55,-0.5,-0.6,-0.52,1000000,10200000.0", *GOOD]
    content = read_bars(write(path, rows), Adjust.QFQ)
    assert content.frame["low"].iloc[0] == -0.6
    assert content.rejected == []


def test_adjusted_series_taken_for_raw_is_rejected_row_by_row(path):
    rows = ["20140106,5.0,5.2,4.9,5.1,1000000,10200000.0", *GOOD]
    content = read_bars(write(path, rows))
    assert [row.line for row in content.rejected] == [2]
    assert "adjusted" in content.rejected[0].reason


def test_unit_of_a_series_adjusted_forward_is_told_by_its_first_rows(path):
    later = ["20250924,1010.0,1030.0,1010.0,1030.0,1500000,15300000.0"]
    content = read_bars(write(path, GOOD[:2] + later), Adjust.HFQ)
    assert len(content.frame) == 3


def test_equal_rows_of_one_date_are_counted_and_contradicting_ones_rejected(path):
    rows = [*GOOD, GOOD[0], with_value("close", "10.3")]
    content = read_bars(write(path, rows))
    assert len(content.frame) == 3
    assert content.repeated == 1
    assert [row.line for row in content.rejected] == [6]
    assert content.read == len(content.frame) + content.repeated + len(content.rejected)


def test_rows_come_out_oldest_first_whatever_the_file_says(path):
    content = read_bars(write(path, GOOD[::-1]))
    assert content.frame["datetime"].tolist() == [20250922, 20250923, 20250924]
    assert content.lines.tolist() == [4, 3, 2]


def test_bar_on_a_closed_day_comes_in_and_is_named(path):
    content = read_bars(write(path, [with_value("datetime", "20250920"), *GOOD]))
    assert len(content.frame) == 4
    assert "20250920" in content.note


@pytest.mark.parametrize(
    "rows",
    [
        [row.replace("2025092", "2025-09-2", 1) for row in GOOD],
        ["", *GOOD, ""],
        [GOOD[0], HEADER, *GOOD[1:]],
        [f"{row}," for row in GOOD],
        [row.replace("10200000.0", '"10,200,000.0"') for row in GOOD],
        [row.replace(",", ", ") for row in GOOD],
    ],
    ids=["iso dates", "blank lines", "header again", "trailing comma", "thousands", "blanks"],
)
def test_harmless_dirt_reads_like_the_clean_file(tmp_path, path, rows):
    clean = tmp_path / "clean" / path.name
    clean.parent.mkdir()
    expected = read_bars(write(clean)).frame
    pd.testing.assert_frame_equal(read_bars(write(path, rows)).frame, expected)


def test_columns_may_come_in_another_order_with_others_between(path):
    names = ["datetime", "close", "adj", "open", "high", "low", "amount", "volume"]
    rows = []
    for row in GOOD:
        fields = dict(zip(BAR_COLUMNS, row.split(","), strict=True)) | {"adj": "1.5"}
        rows.append(",".join(fields[name] for name in names))
    content = read_bars(write(path, rows, ",".join(names)))
    assert content.frame["close"].tolist() == [10.2, 10.1, 10.3]


def test_row_with_too_few_fields_is_rejected_alone(path):
    content = read_bars(write(path, [GOOD[0], "20250923,10.2,10", GOOD[2]]))
    assert [row.line for row in content.rejected] == [3]
    assert len(content.frame) == 2


def test_last_row_cut_off_in_a_file_of_windows_is_rejected(path):
    rows = [HEADER, *GOOD[:2], GOOD[2][:-4]]
    path.write_bytes("\r\n".join(rows).encode())
    content = read_bars(path, Adjust.QFQ)
    assert [row.line for row in content.rejected] == [4]
    assert len(content.frame) == 2


@pytest.mark.parametrize(
    ("name", "header", "complaint"),
    [
        ("600000.SH.csv", "open,high,low,close,volume,amount", "column datetime"),
        ("000001.csv", HEADER, "ambiguous"),
        ("notes.csv", HEADER, "not like"),
    ],
)
def test_file_without_date_column_or_code_is_refused(tmp_path, name, header, complaint):
    with pytest.raises(LegacyFileError, match=complaint):
        read_bars(write(tmp_path / name, GOOD, header))


def test_empty_file_is_refused_and_a_header_alone_is_not(path):
    path.write_text("")
    with pytest.raises(LegacyFileError, match="empty"):
        read_bars(path)
    assert read_bars(write(path, [])).read == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.integers(1, 999_999), min_size=1, max_size=60, unique=True))
def test_every_price_of_three_decimals_arrives_as_the_nearest_float(tmp_path, ticks):
    days = calendar.trading_days(clock.parse_date("2020-01-01"), clock.parse_date("2020-12-31"))
    prices = [f"{tick // 1000}.{tick % 1000:03}" for tick in ticks]
    rows = [
        f"{day:%Y%m%d},{price},{price},{price},{price},1000,{float(price) * 1000}"
        for day, price in zip(days, prices, strict=False)
    ]
    content = read_bars(write(tmp_path / "600000.SH.csv", rows))
    assert content.rejected == []
    assert np.array_equal(content.frame["close"].to_numpy(), [float(price) for price in prices])
