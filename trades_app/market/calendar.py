"""Trading days of the Shanghai, Shenzhen and Beijing exchanges.

Sources in order: an imported list of days for the span it covers, then `exchange_calendars`
(XSHG), which knows no holiday after its last year; past both, weekdays count and each call
logs an error.
"""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock

logger = logging.getLogger(__name__)

FIRST_TRADING_DAY = date(1990, 12, 19)
_loading = Lock()
COLUMN = "trade_date"
_DAY = timedelta(days=1)
_SATURDAY = 5


class InvalidCalendar(ValueError):
    """The imported calendar cannot be believed; the message names file and line."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The trading days of one source; every other day from `first` to `last` is closed."""

    first: date
    last: date
    days: frozenset[date]

    def covers(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class _Imported:
    stamp: tuple[Path, int, int]
    span: _Span


_path: Path | None = None
_imported: _Imported | None = None
_loading = Lock()


def configure(path: Path | None) -> None:
    """Set the file of imported trading days; None means that there is none."""
    global _path, _imported
    with _loading:
        _path, _imported = path, None


def is_trading_day(day: date) -> bool:
    return next(_check([day]))


def trading_days(start: date, end: date) -> list[date]:
    """Return the trading days from `start` to `end`, both inclusive, oldest first."""
    days = [start + _DAY * offset for offset in range((end - start).days + 1)]
    return [day for day, is_open in zip(days, _check(days), strict=True) if is_open]


def count_trading_days(start: date, end: date) -> int:
    """Count trading days from `start` to `end`, both inclusive; 0 when start is after end."""
    return len(trading_days(start, end))


def next_trading_day(day: date) -> date:
    """Return the first trading day after `day`."""
    return _first_open(day + _DAY * offset for offset in range(1, 366))


def previous_trading_day(day: date) -> date:
    """Return the last trading day before `day`; ValueError when the exchange is not open yet."""
    if day <= FIRST_TRADING_DAY:
        raise ValueError(f"there is no trading day before {FIRST_TRADING_DAY}")
    return _first_open(day - _DAY * offset for offset in range(1, 366))


def known_until() -> date:
    """Return the last date whose holidays are known."""
    imported = _read_imported()
    bundled = _bundled().last
    return max(imported.last, bundled) if imported else bundled


def bundled_days(start: date, end: date) -> list[date]:
    """Return the trading days that are known without any imported list."""
    return sorted(day for day in _bundled().days if start <= day <= end)


def days_left(today: date) -> int:
    """Return how many days the calendar still reaches; negative when it has run out."""
    return (known_until() - today).days


def read_days(path: Path) -> list[date]:
    """Read a list of trading days with a `trade_date` column; refuse it whole when damaged."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if COLUMN not in (reader.fieldnames or ()):
                raise InvalidCalendar(f"{path} line 1: there is no column {COLUMN!r}")
            days = [_parse_day(row[COLUMN], path, reader.line_num) for row in reader]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise InvalidCalendar(f"{path} is not a CSV file in UTF-8: {exc}") from exc
    if not days:
        raise InvalidCalendar(f"{path} line 2: the file lists no trading day")
    return sorted(set(days))


def check_day(day: date) -> date:
    """Refuse a day on which the exchanges never trade."""
    if day.weekday() >= _SATURDAY or day < FIRST_TRADING_DAY:
        raise ValueError(f"{day} ({day:%A}) cannot be a trading day")
    return day


def _parse_day(text: str | None, path: Path, line: int) -> date:
    try:
        return check_day(date.fromisoformat((text or "").strip()))
    except ValueError as exc:
        raise InvalidCalendar(f"{path} line {line}, {COLUMN}: {text!r} ({exc})") from exc


def _first_open(days: Iterator[date]) -> date:
    candidates = list(days)
    for day, is_open in zip(candidates, _check(candidates), strict=True):
        if is_open:
            return day
    raise InvalidCalendar(f"no trading day within a year of {candidates[0]}: {_path} has a gap")


def _check(days: Iterable[date]) -> Iterator[bool]:
    """Yield whether each day is open; the lack of a calendar is logged once per call."""
    imported = _read_imported()
    has_warned = False
    for day in days:
        span = imported if imported and imported.covers(day) else _bundled()
        if span.covers(day):
            yield day in span.days
            continue
        if day > span.last and not has_warned:
            has_warned = True
            logger.error(
                "No trading calendar for %s: every weekday counts, holidays included; "
                "import a newer list of trading days",
                day,
            )
        yield day > span.last and day.weekday() < _SATURDAY


def _read_imported() -> _Span | None:
    """Return the imported days, read again when the file has changed."""
    global _imported
    path = _path
    if path is None:
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    stamp = (path, status.st_mtime_ns, status.st_size)
    held = _imported
    if held and held.stamp == stamp:
        return held.span
    with _loading:
        days = read_days(path)
        span = _Span(days[0], days[-1], frozenset(days))
        _imported = _Imported(stamp, span)
        return span


def _bundled() -> _Span:
    # One thread at a time, since another would undo the warning filters of the first.
    with _loading:
        return _load_bundled()


@lru_cache(maxsize=1)
def _load_bundled() -> _Span:
    # Imported here because it takes two seconds, which a calendar file saves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars

        sessions = exchange_calendars.get_calendar("XSHG", start=f"{FIRST_TRADING_DAY}").sessions
    days = [session.date() for session in sessions]
    return _Span(days[0], days[-1], frozenset(days))
