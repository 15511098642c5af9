"""`_open_day_list_sina.csv`: the trading days as Sina publishes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from storage_app.legacy.text import Rejected, RowError, clean, read_table
from trades_app.market import calendar, clock


@dataclass(frozen=True, slots=True)
class DayFile:
    days: list[date]
    repeated: int
    rejected: list[Rejected]
    note: str = ""


def read_trading_days(path: Path) -> DayFile:
    """Return the days, oldest first; days to come are part of the list."""
    table = read_table(path, (calendar.COLUMN,))
    rejected = list(table.rejected)
    days: list[date] = []
    for row in table.rows:
        try:
            days.append(row.parse(calendar.COLUMN, _parse_day))
        except RowError as exc:
            rejected.append(row.reject(exc.column, str(exc)))
    unique = sorted(set(days))
    return DayFile(unique, len(days) - len(unique), rejected, table.note)


def _parse_day(text: str) -> date:
    return calendar.check_day(clock.parse_date(clean(text).replace("/", "-")))
