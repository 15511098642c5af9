"""Daily bars in SilverQuant's CSV tree: `klines/ADJUST/CODE.csv`, factors in `klines/factors`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from storage_app.contract.errors import Corrupt
from storage_app.contract.roles import KlineStore
from storage_app.stores import frames
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    locked,
    make_directory,
    refusing,
)
from trades_app import bar_frames
from trades_app.bar_cache import FreshCache, Stamp
from trades_app.bar_frames import BAR_COLUMNS, RAW
from trades_app.market import clock
from trades_app.quality import FEN_PER_YUAN, PRICES, TICKS_PER_YUAN

FACTORS = "factors"
_FACTOR_COLUMNS = ("ex_date", "factor")
_CACHED_FILES = 512
# File times advance in steps: a file this young may change once more and look the same.
_SETTLING_NS = 50_000_000


class FileKlines(KlineStore):
    """A file per code, replaced as a whole; what was read last is kept while its file stands."""

    component: ClassVar[str] = "files"

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "klines"
        self._cache: FreshCache[pd.DataFrame] = FreshCache(_CACHED_FILES, math.inf)

    def ping(self) -> None:
        make_directory(self._root)

    def close(self) -> None:
        self._cache.clear()

    def get_kline(
        self,
        code: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        start, end = _as_int(start_date, 0), _as_int(end_date, 99991231)
        tail = days if end_date is None else None
        if adjust != RAW:
            imported = _cut(self._read(adjust, code, tail), start, end, days)
            if not imported.empty:
                return imported
        raw = _cut(self._read(RAW, code, tail), start, end, days)
        return raw if adjust == RAW else bar_frames.derive(raw, self._factors(code), adjust)

    def batch_get_kline(
        self,
        codes: Sequence[str],
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> dict[str, pd.DataFrame]:
        return {code: self.get_kline(code, start_date, end_date, days, adjust) for code in codes}

    def read_kline_frame(
        self,
        codes: Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        wanted = self._codes({RAW, adjust}) if codes is None else sorted(set(codes))
        parts = []
        for code in wanted:
            part = self.get_kline(code, start_date, end_date, None, adjust)
            part.insert(0, "code", code)
            parts.append(part)
        return bar_frames.concat_market(parts)

    def write_klines(self, frame: pd.DataFrame, adjust: str = "none", source: str = "") -> int:
        """Write bars file by file; a crash leaves each file old or new. `source` is not kept."""
        bars = frames.checked_bars(frame)
        columns = {
            "datetime": bar_frames.dates_as_int(bars.day),
            **{name: getattr(bars, name) / TICKS_PER_YUAN for name in PRICES},
            "volume": bars.volume,
            "amount": bars.amount / FEN_PER_YUAN,
        }
        self._merge(adjust, pd.DataFrame({"code": bars.code, **columns}), self._read, "datetime")
        return len(bars)

    def write_adjust_factors(self, frame: pd.DataFrame, source: str = "") -> int:
        """Write cumulative factors: `code`, `ex_date` and `factor`; return the rows written."""
        factors = frames.checked_factors(frame)
        factors["ex_date"] = [int(f"{day:%Y%m%d}") for day in factors["ex_date"]]
        factors["factor"] = factors["factor"].astype(float)
        self._merge(FACTORS, factors, lambda _, code: self._factors(code), "ex_date")
        return len(factors)

    def _merge(
        self,
        name: str,
        rows: pd.DataFrame,
        read: Callable[[str, str], pd.DataFrame],
        key: str,
    ) -> None:
        directory = self._root / name
        with locked(directory / "files"):
            for code, part in rows.groupby("code", sort=True):
                both = pd.concat([read(name, str(code)), part.drop(columns="code")])
                merged = both.drop_duplicates(key, keep="last").sort_values(key)
                text = merged.to_csv(index=False, lineterminator="\n")
                atomic_write_bytes(directory / f"{code}.csv", text.encode())

    def _codes(self, names: set[str]) -> list[str]:
        return sorted({path.stem for name in names for path in (self._root / name).glob("*.csv")})

    def _read(self, name: str, code: str, tail: int | None = None) -> pd.DataFrame:
        """Return the bars of a file, or only those of its last so many lines."""
        path = self._root / name / f"{code}.csv"
        stamp = _stamp(path)
        if stamp is None:
            return bar_frames.empty_frame()
        frame = self._cache.get((path, tail), stamp)
        if frame is None:
            with _believing(path):
                frame = _parse(path, tail)
            if time.time_ns() - stamp[0] > _SETTLING_NS:
                self._cache.put((path, tail), stamp, frame)
        return frame

    def _factors(self, code: str) -> pd.DataFrame:
        path = self._root / FACTORS / f"{code}.csv"
        if not path.exists():
            # Typed, since an empty column of floats would turn the dates beside it into floats.
            return pd.DataFrame({"ex_date": np.empty(0, dtype=np.int64), "factor": np.empty(0)})
        with _believing(path):
            return pd.read_csv(path, usecols=list(_FACTOR_COLUMNS))


def _parse(path: Path, tail: int | None) -> pd.DataFrame:
    """Read a file or its tail; its columns may stand in any order."""
    header, *lines = path.read_text(encoding="utf-8-sig").split("\n")
    names = [name.strip() for name in header.split(",")]
    missing = [name for name in BAR_COLUMNS if name not in names]
    if missing:
        raise ValueError(f"the header lacks {', '.join(missing)}")
    lines = [line for line in lines[-tail - 1 if tail else 0 :] if line]
    if not lines:
        return bar_frames.empty_frame()
    # Choosing columns costs half the time of reading them.
    places = None if names == list(BAR_COLUMNS) else [names.index(name) for name in BAR_COLUMNS]
    table = np.loadtxt(lines, delimiter=",", usecols=places, ndmin=2)
    if not np.isfinite(table).all():
        raise ValueError("a value is not a number")
    columns = dict(zip(BAR_COLUMNS, np.ascontiguousarray(table.T), strict=True))
    frame = pd.DataFrame(
        {name: _typed(name, column) for name, column in columns.items()}, copy=False
    )
    if (np.diff(columns["datetime"]) > 0).all():
        return frame
    return bar_frames.renumbered(
        frame.drop_duplicates("datetime", keep="last").sort_values("datetime")
    )


def _typed(name: str, column: np.ndarray) -> np.ndarray:
    return column.astype(np.int64) if name in ("datetime", "volume") else column


def _cut(frame: pd.DataFrame, start: int, end: int, days: int | None) -> pd.DataFrame:
    """Return the rows asked for as the caller's own frame."""
    dates = frame["datetime"].to_numpy()
    stop = int(np.searchsorted(dates, end, side="right"))
    first = int(np.searchsorted(dates, start)) if days is None else max(stop - days, 0)
    part = frame.iloc[first:stop]
    return bar_frames.renumbered(part)


def _as_int(day: date | str | None, default: int) -> int:
    return default if day is None else int(f"{clock.parse_date(day):%Y%m%d}")


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


@contextmanager
def _believing(path: Path) -> Iterator[None]:
    """Refuse a file that does not hold what it should."""
    try:
        with refusing(path):
            yield
    except ValueError as exc:
        raise Corrupt(path, str(exc)) from exc
