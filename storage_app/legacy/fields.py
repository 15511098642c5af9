"""Single values as people, programs and spreadsheets write them; ValueError says what is wrong."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import ROUND_HALF_UP, Decimal

from storage_app.legacy.text import clean
from trades_app.market import calendar, clock

PRICE_STEP = Decimal("0.001")
_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[ T]0{1,2}:00(?::00)?)?")
_COMPACT_DATE = re.compile(r"(\d{4})()(\d{2})(\d{2})(?:\.0+)?")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)


def parse_day(text: str) -> date:
    """Return a date of the exchange's life up to today: `2025-09-22`, `2025/9/22`, `20250922`."""
    value = clean(text)
    match = _DATE.fullmatch(value) or _COMPACT_DATE.fullmatch(value)
    if not match:
        raise ValueError("not a date like 2025-09-22")
    try:
        day = date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError as exc:
        raise ValueError("no such day in the calendar") from exc
    if not calendar.FIRST_TRADING_DAY <= day <= clock.today():
        raise ValueError("before the exchange opened or after today")
    return day


def parse_time(text: str) -> time:
    """Return the time of day to the second: `09:31:05`, `9:31`, `09:31:05.123`."""
    match = _TIME.fullmatch(clean(text))
    if not match:
        raise ValueError("not a time like 09:31:05")
    try:
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError as exc:
        raise ValueError("no such time of day") from exc


def parse_number(text: str) -> Decimal:
    """Return a finite number; thousands separators are taken out."""
    value = clean(text)
    if _THOUSANDS.fullmatch(value):
        value = value.replace(",", "")
    if not _NUMBER.fullmatch(value):
        raise ValueError("not a number")
    return Decimal(value)


def parse_price(text: str) -> Decimal:
    """Return a price above 0 in yuan, rounded to 0.001."""
    number = parse_number(text)
    if not PRICE_STEP <= number < 1_000_000:
        raise ValueError("a price must be at least 0.001 and below 1,000,000")
    return number.quantize(PRICE_STEP, ROUND_HALF_UP)


def parse_shares(text: str) -> int:
    """Return a number of shares above 0; `1000.0` is 1000."""
    number = parse_number(text)
    if number != number.to_integral_value() or not 0 < number < 10**12:
        raise ValueError("a volume must be a whole number above 0")
    return int(number)
