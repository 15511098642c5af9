"""The one clock: 'today' is the Shanghai trading date, timestamps are aware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

_pinned: datetime | None = None


class InvalidTime(ValueError):
    pass


def now() -> datetime:
    """Return the present moment in Shanghai, or the moment that `pinned` holds."""
    return _pinned or datetime.now(SHANGHAI)


def today() -> date:
    return now().date()


@contextmanager
def pinned(moment: datetime) -> Iterator[None]:
    """Hold the clock of this process at an aware moment, for replays and tests."""
    global _pinned
    before, _pinned = _pinned, in_shanghai(moment)
    try:
        yield
    finally:
        _pinned = before


def in_shanghai(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidTime(f"{moment!r} has no time zone; pass an aware datetime or unix seconds")
    return moment.astimezone(SHANGHAI)


def parse_timestamp(value: datetime | float | str) -> datetime:
    """Return an aware Shanghai datetime from unix seconds (int, float, text) or an aware one."""
    if isinstance(value, datetime):
        return in_shanghai(value)
    try:
        return datetime.fromtimestamp(float(value), SHANGHAI)
    except (TypeError, ValueError, OverflowError, OSError) as exc:
        raise InvalidTime(f"{value!r} is neither unix seconds nor an aware datetime") from exc


def parse_date(value: date | int | str) -> date:
    """Return the date of `YYYY-MM-DD` or `YYYYMMDD` (text or int)."""
    if isinstance(value, datetime):
        return in_shanghai(value).date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    for layout in ("%Y-%m-%d", "%Y%m%d"):
        try:
            return datetime.strptime(text, layout).replace(tzinfo=SHANGHAI).date()
        except ValueError:
            continue
    raise InvalidTime(f"{value!r} is not a date; write YYYY-MM-DD or YYYYMMDD")
