"""Bars as traders ask for them: so many rows back, adjusted or not, from memory when fresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from trades_app import bar_frames
from trades_app.bar_cache import FreshCache, Stamp, read_stamp
from trades_app.bar_frames import RAW
from trades_app.connection import PROMPT, database_key
from trades_app.market import clock
from trades_app.queries import bars

# More rows than this are not kept: memory stays below 4,096 x 1,250 rows x 56 bytes.
_MOST_CACHED_ROWS = 1250
# Calendar days that hold a trading day: 250 of 365, less around the long holidays.
_DAYS_PER_ROW = 1.5
_HOLIDAYS = timedelta(days=21)


@dataclass(frozen=True, slots=True)
class Range:
    """Which rows of a code: between two dates, or `days` rows up to `end`, beating `start`."""

    start: date | None = None
    end: date | None = None
    days: int | None = None


class BarHistory:
    """Reads of bars with the cache that serves repetitions; safe for threads.

    An adjusted series is the imported one of that kind if the asked range has any, else it is
    derived from raw bars and factors; a code that has neither has no adjusted bars.
    """

    def __init__(self) -> None:
        self._frames: FreshCache[pd.DataFrame] = FreshCache()
        self._spans: FreshCache[tuple[date, date] | None] = FreshCache(1)

    def read(self, codes: Sequence[str], wanted: Range, adjust: str) -> dict[str, pd.DataFrame]:
        """Return BAR_COLUMNS per code, oldest first.

        That is one query, or two when a code was listed lately or suspended for long.
        """
        stamp = read_stamp()
        asked = (database_key(), wanted, adjust, _anchor(adjust))
        frames = {code: self._frames.get((code, asked), stamp) for code in codes}
        missing = [code for code, frame in frames.items() if frame is None]
        if missing:
            found = self._adjusted(missing, wanted, adjust, stamp)
            for code, frame in found.items():
                if len(frame) <= _MOST_CACHED_ROWS:
                    self._frames.put((code, asked), stamp, frame)
            frames.update(found)
        # A shallow copy is the caller's own: pandas copies on write.
        return {code: frame.copy(deep=False) for code, frame in frames.items() if frame is not None}

    def read_market(self, codes: Sequence[str] | None, wanted: Range, adjust: str) -> pd.DataFrame:
        """Return `code` and BAR_COLUMNS as one frame by code and date; codes None: all."""
        imported = bars.read_bars(adjust, codes, wanted.start, wanted.end)
        if adjust == RAW:
            return imported
        raw = bars.read_bars(RAW, codes, wanted.start, wanted.end)
        raw = raw[~raw["code"].isin(imported["code"].unique())]
        derived = bar_frames.derive_market(raw, bars.read_factors(codes), adjust)
        return bar_frames.concat_market([imported, derived])

    def clear(self) -> None:
        self._frames.clear()
        self._spans.clear()

    def _adjusted(
        self, codes: list[str], wanted: Range, adjust: str, stamp: Stamp
    ) -> dict[str, pd.DataFrame]:
        frames = self._stored(codes, wanted, adjust, stamp)
        derived = [code for code, frame in frames.items() if frame.empty and adjust != RAW]
        if derived:
            raw = self._stored(derived, wanted, RAW, stamp)
            factors = bars.read_factors(derived, answer_timeout=PROMPT)
            for code in derived:
                own = factors[factors["code"] == code]
                frames[code] = bar_frames.derive(raw[code], own, adjust)
        return frames

    def _stored(
        self, codes: list[str], wanted: Range, adjust: str, stamp: Stamp
    ) -> dict[str, pd.DataFrame]:
        end, days = wanted.end, wanted.days
        if days is None:
            return _read(adjust, codes, wanted)
        span = self._span(stamp)
        if span is None:
            return bar_frames.split_by_code(bar_frames.empty_market_frame(), codes)
        first, newest = span
        since = min(end or newest, newest) - timedelta(days=int(days * _DAYS_PER_ROW)) - _HOLIDAYS
        frames = _read(adjust, codes, Range(since, end, days))
        short = [code for code, frame in frames.items() if len(frame) < days]
        if short and since > first:
            longer = bars.read_last_bars(adjust, short, end, days, answer_timeout=PROMPT)
            frames.update(bar_frames.split_by_code(longer, short))
        return frames

    def _span(self, stamp: Stamp) -> tuple[date, date] | None:
        key = database_key()
        span = self._spans.get(key, stamp)
        if span is None:
            span = bars.read_span(answer_timeout=PROMPT)
            self._spans.put(key, stamp, span)
        return span


def _anchor(adjust: str) -> date | None:
    """Return the date whose prices stay as traded, where that depends on today."""
    return None if adjust == RAW else clock.today()


def _read(adjust: str, codes: list[str], wanted: Range) -> dict[str, pd.DataFrame]:
    if len(codes) > 1:
        frame = bars.read_bars(adjust, codes, wanted.start, wanted.end, answer_timeout=PROMPT)
        return bar_frames.split_by_code(frame, codes, wanted.days)
    (code,) = codes
    frame = bars.read_code_bars(adjust, code, wanted.start, wanted.end, answer_timeout=PROMPT)
    return {code: bar_frames.renumbered(frame.iloc[-wanted.days :]) if wanted.days else frame}
