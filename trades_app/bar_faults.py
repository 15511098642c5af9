"""What is wrong with daily bars, judged by the bars themselves, the calendar and the factors.

Frames hold some codes of one series, sorted by code and date, so memory is bounded by whoever
reads them. A fault is told once per code and check, with its number, its dates and an example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trades_app.bar_checks import Check, Severity
from trades_app.market import codes as securities
from trades_app.quality import PRICES

RAW: Final = "none"
# Half a tick: prices are multiples of 0.001 yuan.
_TOLERANCE: Final = 0.0005
# How far the average price of a day may leave its range: amounts are rounded, and some sources
# count in ten thousands.
_VWAP_SLACK: Final = 0.01
_IN_LOTS: Final = (70.0, 130.0)
# A new share has no limit on its first five days (SSE, SZSE: trading rules of 2023, 3.3.17).
_FREE_DAYS: Final = 5
# The day on which daily limits came.
_LIMITS_SINCE: Final = 19961216
# Below one yuan a tick of an adjusted series is a large part of the price.
_LEAST_ADJUSTED: Final = 1.0
# A hole is short; whoever misses longer has been suspended (停牌).
_LONGEST_HOLE: Final = 3
_SHOWN_RANGES: Final = 3

Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """`count` bars or days of a code, from `first` to `last` (YYYYMMDD); `code` "" is all."""

    check: Check
    severity: Severity
    code: str
    first: int
    last: int
    count: int
    detail: str

    def as_finding(self, series: str) -> dict[str, Any]:
        return {
            "check": self.check.value,
            "severity": self.severity.value,
            "series": series,
            "code": self.code,
            "first": _iso(self.first),
            "last": _iso(self.last),
            "count": self.count,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Market:
    """What bars are held against: all trading days, and those on which the market has bars.

    Both are sorted and YYYYMMDD; nothing before `start` is judged, but it is looked at.
    """

    trading_days: Days
    days_with_bars: Days
    start: int = 0


def find_faults(
    frame: pd.DataFrame, series: str, market: Market, factors: pd.DataFrame | None = None
) -> Iterator[Fault]:
    """Yield the faults of a frame with `code` and BAR_COLUMNS.

    `factors` are the adjust factors of its codes (`code`, `ex_date`, `factor`): a jump on an
    ex-date is a corporate action.
    """
    if frame.empty:
        return
    bars = _Bars(frame, series, market, factors)
    for check, severity, wrong, tell in _row_checks(bars):
        yield from bars.told(check, severity, wrong & bars.is_judged, tell)
    yield from _gaps(bars)
    yield from _ends(bars)


class _Bars:
    """A frame as columns, with the bar before each one of the same code."""

    def __init__(
        self, frame: pd.DataFrame, series: str, market: Market, factors: pd.DataFrame | None
    ) -> None:
        self.series = series
        self.market = market
        self.factors = factors
        self.code = frame["code"].to_numpy(dtype=object)
        self.day = frame["datetime"].to_numpy(np.int64)
        self.open, self.high, self.low, self.close = (
            frame[name].to_numpy(np.float64) for name in PRICES
        )
        self.volume = frame["volume"].to_numpy(np.int64)
        self.amount = frame["amount"].to_numpy(np.float64)
        self.is_first = np.r_[True, self.code[1:] != self.code[:-1]]
        self.is_judged = self.day >= market.start
        self.is_traded = self.volume > 0
        self.begins = np.flatnonzero(self.is_first)
        self.lengths = np.diff(np.r_[self.begins, len(self.day)])
        # How many bars of the code come before, and where each day is in the calendar.
        self.rank = np.arange(len(self.day)) - np.repeat(self.begins, self.lengths)
        self.place = np.searchsorted(market.trading_days, self.day)

    def before(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([column[:1], column[:-1]])

    def by_code(self, value: Callable[[str], Any]) -> npt.NDArray[Any]:
        """Return what a function says of the code of each bar."""
        return np.repeat([value(str(code)) for code in self.code[self.begins]], self.lengths)

    def told(
        self, check: Check, severity: Severity, wrong: Mask, tell: Callable[[int], str]
    ) -> Iterator[Fault]:
        """Yield one fault per code that has wrong bars."""
        places = np.flatnonzero(wrong)
        codes = self.code[places]
        for own in np.split(places, np.flatnonzero(codes[1:] != codes[:-1]) + 1):
            if len(own):
                first, last = int(self.day[own[0]]), int(self.day[own[-1]])
                example = f"{_iso(first)}: {tell(int(own[0]))}"
                yield Fault(check, severity, str(self.code[own[0]]), first, last, len(own), example)


_RowCheck = tuple[Check, Severity, Mask, Callable[[int], str]]


def _row_checks(bars: _Bars) -> Iterator[_RowCheck]:
    yield _range(bars)
    yield from _turnover(bars)
    yield _copied(bars)
    yield _closed_day(bars)
    yield from _jumps(bars)
    if bars.series == RAW:
        yield _non_positive(bars)
        yield from _average(bars)


def _range(bars: _Bars) -> _RowCheck:
    highest = np.maximum(bars.open, bars.close)
    lowest = np.minimum(bars.open, bars.close)
    outside = (bars.high < highest - _TOLERANCE) | (bars.low > lowest + _TOLERANCE)
    return Check.RANGE, Severity.ERROR, bars.is_traded & outside, lambda at: _ohlc(bars, at)


def _non_positive(bars: _Bars) -> _RowCheck:
    least = np.minimum.reduce([bars.open, bars.high, bars.low, bars.close])
    wrong = bars.is_traded & (least <= 0)
    return Check.PRICE, Severity.ERROR, wrong, lambda at: _ohlc(bars, at)


def _turnover(bars: _Bars) -> Iterator[_RowCheck]:
    def tell(at: int) -> str:
        return f"volume {bars.volume[at]}, amount {bars.amount[at]:.2f}"

    yield Check.TURNOVER, Severity.ERROR, ~bars.is_traded & (bars.amount > 0), tell
    yield Check.TURNOVER, Severity.WARNING, bars.is_traded & (bars.amount <= 0), tell


def _average(bars: _Bars) -> Iterator[_RowCheck]:
    """Hold amount / volume against the range of the day; an index or a bond has no such price."""
    is_share = bars.by_code(_has_average)
    counted = is_share & bars.is_traded & (bars.amount > 0) & (bars.low > 0)
    average = np.divide(bars.amount, bars.volume, out=np.zeros_like(bars.amount), where=counted)
    outside = counted & (
        (average < bars.low * (1 - _VWAP_SLACK)) | (average > bars.high * (1 + _VWAP_SLACK))
    )
    ratio = np.divide(average, bars.close, out=np.zeros_like(average), where=counted)
    in_lots = outside & (ratio > _IN_LOTS[0]) & (ratio < _IN_LOTS[1])

    def tell(at: int) -> str:
        return f"{average[at]:.3f} ∉ {bars.low[at]:g} … {bars.high[at]:g}"

    yield Check.LOTS, Severity.ERROR, in_lots, tell
    yield Check.AVERAGE, Severity.WARNING, outside & ~in_lots, tell


def _copied(bars: _Bars) -> _RowCheck:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.amount)
    same = np.logical_and.reduce([column == bars.before(column) for column in columns])
    wrong = same & ~bars.is_first & bars.is_traded
    return Check.COPY, Severity.WARNING, wrong, lambda at: f"= {_iso(bars.day[at - 1])}"


def _closed_day(bars: _Bars) -> _RowCheck:
    days = bars.market.trading_days
    known = (bars.day >= days[0]) & (bars.day <= days[-1])
    wrong = known & ~np.isin(bars.day, days)
    return Check.CLOSED_DAY, Severity.ERROR, wrong, lambda at: _ohlc(bars, at)


def _jumps(bars: _Bars) -> Iterator[_RowCheck]:
    """Find changes beyond the daily limit that no ex-date explains."""
    before = bars.before(bars.close)
    limit = bars.by_code(_limit)
    is_usable = (before > 0) & (bars.close > 0) & bars.is_traded & (bars.rank >= _FREE_DAYS)
    is_usable &= bars.day >= _LIMITS_SINCE
    if bars.series != RAW:
        is_usable &= before >= _LEAST_ADJUSTED
    change = np.divide(bars.close, before, out=np.ones_like(before), where=is_usable) - 1
    # A limit price is rounded to the cent.
    slack = np.divide(0.01, before, out=np.zeros_like(before), where=is_usable) + 0.002
    jumped = is_usable & (np.abs(change) > limit + slack) & ~_has_action(bars)
    is_next_day = bars.place - bars.before(bars.place) <= 1

    def tell(at: int) -> str:
        return f"close {before[at]:g} → {bars.close[at]:g} ({change[at]:+.1%})"

    yield Check.JUMP, Severity.WARNING, jumped & is_next_day, tell
    # A share may resume anywhere after a suspension.
    yield Check.JUMP, Severity.INFO, jumped & ~is_next_day, tell


def _has_action(bars: _Bars) -> Mask:
    """Return which bars have an ex-date since the bar before."""
    found = np.zeros(len(bars.day), dtype=bool)
    if bars.factors is None or bars.factors.empty:
        return found
    ends = bars.begins + bars.lengths
    spans = dict(
        zip(bars.code[bars.begins], zip(bars.begins, ends, strict=True), strict=True),
    )
    for code, part in bars.factors.groupby("code"):
        if code in spans:
            start, stop = spans[code]
            at = np.searchsorted(bars.day[start:stop], part["ex_date"].to_numpy(np.int64))
            found[start + at[at < stop - start]] = True
    return found


def _gaps(bars: _Bars) -> Iterator[Fault]:
    """Find trading days between two bars of a code on which the market traded."""
    steps = bars.place - bars.before(bars.place)
    holes: dict[tuple[str, bool], list[Days]] = {}
    for at in np.flatnonzero((steps > 1) & ~bars.is_first & bars.is_judged):
        missed = bars.market.trading_days[bars.place[at] - steps[at] + 1 : bars.place[at]]
        missed = missed[np.isin(missed, bars.market.days_with_bars) & (missed >= bars.market.start)]
        if len(missed):
            holes.setdefault((str(bars.code[at]), len(missed) <= _LONGEST_HOLE), []).append(missed)
    for (code, is_hole), ranges in holes.items():
        check, severity = (
            (Check.GAP, Severity.WARNING) if is_hole else (Check.SUSPENDED, Severity.INFO)
        )
        shown = ", ".join(_span(days) for days in ranges[:_SHOWN_RANGES])
        more = f" + {len(ranges) - _SHOWN_RANGES}" if len(ranges) > _SHOWN_RANGES else ""
        count = sum(map(len, ranges))
        yield Fault(
            check, severity, code, int(ranges[0][0]), int(ranges[-1][-1]), count, shown + more
        )


def _ends(bars: _Bars) -> Iterator[Fault]:
    """Find codes whose bars end before the market's."""
    days = bars.market.days_with_bars
    if not len(days):
        return
    for at in [*(np.flatnonzero(bars.is_first)[1:] - 1), len(bars.day) - 1]:
        missed = days[days > bars.day[at]]
        if len(missed):
            is_fresh = len(missed) <= _LONGEST_HOLE
            severity = Severity.WARNING if is_fresh else Severity.INFO
            detail = _iso(bars.day[at])
            first, last = int(missed[0]), int(missed[-1])
            yield Fault(Check.ENDED, severity, str(bars.code[at]), first, last, len(missed), detail)


def market_faults(counts: Sequence[tuple[int, int]], market: Market) -> Iterator[Fault]:
    """Yield trading days on which no code has a bar, or few have; counts are (day, codes)."""
    if not counts:
        return
    known = dict(counts)
    days = market.trading_days
    days = days[(days >= max(min(known), market.start)) & (days <= max(known))]
    missing = days[~np.isin(days, np.array([*known]))]
    if len(missing):
        first, last = int(missing[0]), int(missing[-1])
        detail = ", ".join(_iso(day) for day in missing[:_SHOWN_RANGES])
        yield Fault(Check.MARKET_GAP, Severity.ERROR, "", first, last, len(missing), detail)
    for day, number in counts:
        usual = _usual(known, day)
        if day >= market.start and number * 2 < usual:
            detail = f"{number} / {usual}"
            yield Fault(Check.THIN_DAY, Severity.WARNING, "", day, day, 1, detail)


def _usual(known: dict[int, int], day: int) -> int:
    """Return the median number of codes of the ten days around one."""
    days = sorted(known)
    at = days.index(day)
    around = days[max(at - 5, 0) : at + 6]
    return int(np.median([known[one] for one in around]))


def _has_average(code: str) -> bool:
    return not (securities.is_index(code) or securities.is_bond(code) or securities.is_repo(code))


def _limit(code: str) -> float:
    """Return the daily limit of a code as a share of one; inf where there is none.

    20 % on STAR and ChiNext (SSE and SZSE trading rules), 30 % in Beijing (BSE), 10 % elsewhere.
    """
    if securities.is_bond(code) or securities.is_repo(code):
        return np.inf
    if code.endswith(".BJ"):
        return 0.3
    # An index of ChiNext or STAR shares moves as they do.
    is_wide = code.startswith(("688", "689", "30")) or securities.is_fund(code)
    return 0.2 if is_wide or securities.is_index(code) else 0.1


def _ohlc(bars: _Bars, at: int) -> str:
    prices = zip(PRICES, (bars.open, bars.high, bars.low, bars.close), strict=True)
    return ", ".join(f"{name} {column[at]:g}" for name, column in prices)


def _span(days: Days) -> str:
    first, last = _iso(int(days[0])), _iso(int(days[-1]))
    return first if first == last else f"{first} … {last}"


def _iso(day: int) -> str:
    text = str(int(day))
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"
