"""What the bars of one code lack and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

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
    """Counts of one code; `gaps` are the longest, newest first among equals."""

    bars: int
    first: date
    last: date
    missing: int
    suspended: int
    # Open or close outside of high and low.
    broken: int
    # Prices of 0 or less, which forward adjustment over many years makes.
    nonpositive: int
    gaps: Sequence[Gap]

    @property
    def is_clean(self) -> bool:
        return not (self.missing or self.broken)

    @property
    def more_gaps(self) -> int:
        return len(self.gaps) - GAPS_SHOWN


def days_of(frame: pd.DataFrame) -> list[date]:
    return [date.fromisoformat(str(day)) for day in frame["datetime"].tolist()]


def missing_days(days: Sequence[date]) -> list[date]:
    """Return the trading days between the first and the last of `days` that are not among them."""
    if not days:
        return []
    known = min(days[-1], calendar.known_until())
    present = set(days)
    return [day for day in calendar.trading_days(days[0], known) if day not in present]


def inspect(frame: pd.DataFrame) -> Quality:
    """Return what there is to say of bars that are not empty, oldest first."""
    days = days_of(frame)
    missing = missing_days(days)
    low, high = frame["low"], frame["high"]
    broken = (
        frame[["open", "close"]].lt(low, axis=0) | frame[["open", "close"]].gt(high, axis=0)
    ).any(axis=1)
    return Quality(
        bars=len(days),
        first=days[0],
        last=days[-1],
        missing=len(missing),
        suspended=int((frame["volume"] == 0).sum()),
        broken=int(broken.sum()),
        nonpositive=int((low <= 0).sum()),
        gaps=sorted(gaps_of(missing, days), key=lambda gap: (-gap.days, -gap.first.toordinal())),
    )


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
