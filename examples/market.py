"""A market that replays the daily bars of the demo, one snapshot every three seconds.

Within a day a price goes from the open by way of both extremes to the close, in straight lines
and steps of a fen: a rising day sees its low first, a falling day its high. So a run is the same
each time and a test can follow it. All prices are whole fen.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from trades_app.market import calendar, clock

BARS = Path(__file__).resolve().parent.parent / "demo" / "silverquant" / "_daily_akshare"
NAMES = {
    "000002.SZ": "万科A",
    "002594.SZ": "比亚迪",
    "300059.SZ": "东方财富",
    "600036.SH": "招商银行",
    "600809.SH": "山西汾酒",
}
TICK_SECONDS = 3
TICKS = 4800
_HALF = TICKS // 2
_MORNING, _AFTERNOON = time(9, 30), time(13)


@dataclass(frozen=True)
class Bar:
    open: int
    high: int
    low: int
    close: int

    @property
    def way(self):
        """The four prices in the order of the day."""
        extremes = (self.low, self.high) if self.close >= self.open else (self.high, self.low)
        return (self.open, *extremes, self.close)


def read_bars():
    """Return {code: {date: Bar}}; a suspended day has none."""
    bars = {}
    for path in sorted(BARS.glob("*.csv")):
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        bars[path.stem] = {
            datetime.strptime(row["datetime"], "%Y%m%d").date(): Bar(  # noqa: DTZ007
                *(round(float(row[name]) * 100) for name in ("open", "high", "low", "close"))
            )
            for row in rows
        }
    return bars


def trading_days(first, last):
    return calendar.trading_days(first, last)


class Day:
    """One trading day: the prices of every code at each tick."""

    def __init__(self, bars, day):
        self.day = day
        self.bars = {code: by_day[day] for code, by_day in bars.items() if day in by_day}
        self.closes = {code: _previous_close(by_day, day) for code, by_day in bars.items()}
        self.paths = {code: _path(bar) for code, bar in self.bars.items()}

    @property
    def ticks(self):
        """The ticks at which some price moves, the first and the last of the day always."""
        moved = {0, TICKS - 1}
        for path in self.paths.values():
            moved.update(i for i in range(1, TICKS) if path[i] != path[i - 1])
        return sorted(moved)

    def prices(self, tick):
        return {code: path[tick] for code, path in self.paths.items()}

    def quotes(self, tick):
        """Return what a subscription delivers, in yuan."""
        return {
            code: {
                "lastPrice": path[tick] / 100,
                "open": path[0] / 100,
                "high": max(path[: tick + 1]) / 100,
                "low": min(path[: tick + 1]) / 100,
                "lastClose": self.closes[code] / 100,
            }
            for code, path in self.paths.items()
        }

    def moment(self, tick):
        start = _MORNING if tick < _HALF else _AFTERNOON
        seconds = (tick if tick < _HALF else tick - _HALF) * TICK_SECONDS
        return self.at(start) + timedelta(seconds=seconds)

    def at(self, when: time) -> datetime:
        return datetime.combine(self.day, when, clock.SHANGHAI)


def _path(bar):
    way = bar.way
    steps = TICKS // 3
    return [
        way[part] + (way[part + 1] - way[part]) * (step + 1) // steps if part or step else way[0]
        for part in range(3)
        for step in range(steps)
    ]


def _previous_close(by_day: dict[date, Bar], day: date) -> int:
    earlier = [one for one in by_day if one < day]
    return by_day[max(earlier)].close
