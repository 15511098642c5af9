from __future__ import annotations

from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_app.legacy import fields
from trades_app.market import clock


@pytest.mark.parametrize(
    "text", ["2025-09-22", "2025/9/22", "20250922", "20250922.0", "2025-9-22 0:00", " 2025.09.22 "]
)
def test_spreadsheet_dates_are_the_same_day(text):
    assert fields.parse_day(text) == date(2025, 9, 22)


@pytest.mark.parametrize(
    "text", ["", "2025-13-01", "2025-02-30", "22.09.2025", "2025-09/22", "1989-01-01", "nan"]
)
def test_what_is_no_day_of_the_exchange_is_refused(text):
    with pytest.raises(ValueError, match=r"date|day|before"):
        fields.parse_day(text)


def test_day_to_come_is_refused(trading_morning):
    assert fields.parse_day(f"{clock.today()}") == clock.today()
    with pytest.raises(ValueError, match="after today"):
        fields.parse_day(f"{clock.today() + timedelta(days=1)}")


@pytest.mark.parametrize(
    ("text", "moment"),
    [("09:31:05", time(9, 31, 5)), ("9:31", time(9, 31)), ("09:31:05.123", time(9, 31, 5))],
)
def test_times_are_read_to_the_second(text, moment):
    assert fields.parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "24:01:00", "09-31", "093105"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="time"):
        fields.parse_time(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10.5", "10.5"), ("10.500", "10.500"), ("1,234.5", "1234.5"), ("１０.５", "10.5"),
        ("1e3", "1000"), ("-3", "-3"), (" 7 ", "7"),
    ],
)  # fmt: skip
def test_numbers_of_people_and_spreadsheets(text, number):
    assert fields.parse_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "nan", "NaN", "inf", "-inf", "1_000", "1,23", "0x10", "1e999", "ten", "--"]
)
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(ValueError, match="number"):
        fields.parse_number(text)


@pytest.mark.parametrize("text", ["0", "-1", "0.0004", "1000000", "1e30", "nan"])
def test_price_outside_the_market_is_refused(text):
    with pytest.raises(ValueError, match=r"price|number"):
        fields.parse_price(text)


@pytest.mark.parametrize("text", ["0", "-100", "100.5", "nan", "1e13"])
def test_volume_must_be_whole_shares(text):
    with pytest.raises(ValueError, match=r"volume|number"):
        fields.parse_shares(text)


@given(st.decimals(min_value="0.001", max_value="999999", places=3))
def test_price_survives_its_text(price):
    assert fields.parse_price(str(price)) == price
    assert fields.parse_price(f"{price:,}") == price


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_value_error(text):
    for parse in (fields.parse_day, fields.parse_time, fields.parse_price, fields.parse_shares):
        with suppress(ValueError):
            assert parse(text) is not None
