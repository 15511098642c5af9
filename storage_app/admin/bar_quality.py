"""What the bars of one code lack and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from storage_app.admin.findings import Table, tabulate
from trades_app.bar_checks import Check, Severity
from trades_app.bar_faults import Fault, Market, find_faults
from trades_app.market import calendar

if TYPE_CHECKING:
    import pandas as pd

GAPS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Trading days in a row that have no bar, both ends inclusive."""

    first: date
    last: date
    days: int


@dataclass(frozen=True, slots=True)
class Quality:
    """What bars of one code there are; `gaps` are the longest first, newest first among equals."""

    bars: int
    first: date
    last: date
    missing: int
    gaps: Sequence[Gap]
    faults: Sequence[Fault]

    @property
    def is_clean(self) -> bool:
        return not (self.missing or any(one.severity is not Severity.INFO for one in self.faults))

    @property
    def more_gaps(self) -> int:
        return len(self.gaps) - GAPS_SHOWN

    def table(self, series: str) -> Table:
        """Return the faults as the nightly report shows them."""
        findings = [one.as_finding(series) for one in self.faults]
        layout, rows, _filters = tabulate(findings)
        return Table(layout.columns, [layout.cells(row) for row in rows])


def days_of(frame: pd.DataFrame) -> list[date]:
    return [date.fromisoformat(str(day)) for day in frame["datetime"].tolist()]


def missing_days(days: Sequence[date]) -> list[date]:
    """Return the trading days between the first and the last of `days` that are not among them."""
    if not days:
        return []
    known = min(days[-1], calendar.known_until())
    present = set(days)
    return [day for day in calendar.trading_days(days[0], known) if day not in present]


def inspect(code: str, frame: pd.DataFrame, series: str, factors: pd.DataFrame) -> Quality:
    """Return what there is to say of bars that are not empty, oldest first.

    They are judged as every night, but by themselves: the bars of other codes do not tell
    whether the whole market lacks a day.
    """
    days = days_of(frame)
    missing = missing_days(days)
    trading_days = np.array(sorted(map(_number, {*days, *missing})), dtype=np.int64)
    market = Market(trading_days, trading_days)
    found = find_faults(frame.assign(code=code), series, market, factors)
    return Quality(
        bars=len(days),
        first=days[0],
        last=days[-1],
        missing=len(missing),
        gaps=sorted(gaps_of(missing, days), key=lambda gap: (-gap.days, -gap.first.toordinal())),
        # Days without a bar stand in a table of their own.
        faults=[one for one in found if one.check not in (Check.GAP, Check.SUSPENDED)],
    )


def _number(day: date) -> int:
    return int(f"{day:%Y%m%d}")


def gaps_of(missing: Iterable[date], days: Sequence[date]) -> list[Gap]:
    """Join missing days between which no bar stands."""
    present = sorted(days)
    gaps: list[Gap] = []
    place, last_place = 0, -1
    for day in missing:
        while place < len(present) and present[place] < day:
            place += 1
        if gaps and place == last_place:
            gaps[-1] = Gap(gaps[-1].first, day, gaps[-1].days + 1)
        else:
            gaps.append(Gap(day, day, 1))
        last_place = place
    return gaps
