"""The tree of CSV files, brought up to the bars in ClickHouse, code by code that has changed.

Bars that only the files have stay where they are: somebody may have put them there in file mode.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import pandas as pd

from storage_app.stores.clickhouse import translating
from storage_app.stores.file.documents import atomic_write_bytes, locked, read_document
from storage_app.stores.file.klines import FACTORS, FileKlines
from trades_app.queries import bars

logger = logging.getLogger(__name__)

# Bars in memory at once, and codes named in one query.
BATCH_BARS: Final = 200_000
BATCH_CODES: Final = 500

# Days, newest day and newest version of a code.
_Fingerprint: TypeAlias = tuple[int, int, int]
_Fingerprints: TypeAlias = Mapping[str, _Fingerprint]


@dataclass(slots=True)
class Refreshed:
    """Codes written and codes that stood already, by series: `none`, other `adjust`, `factors`."""

    written: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)


def refresh(data_dir: Path) -> Refreshed:
    """Write the files of codes whose bars have changed since the last run.

    A run that is interrupted goes on where it was. Unavailable while ClickHouse is down or
    another run is at it.
    """
    root = data_dir / "klines"
    state = root / "mirrored.json"
    with locked(state):
        run = _Run(root, state, FileKlines(data_dir))
        with translating():
            series = bars.read_fingerprints()
            factors = bars.read_factor_fingerprints()
        for adjust, found in sorted(series.items()):
            run.bring(adjust, found, run.write_bars)
        run.bring(FACTORS, factors, run.write_factors)
    logger.info("Mirrored bars: %s", run.result.written)
    return run.result


class _Run:
    def __init__(self, root: Path, state: Path, files: FileKlines) -> None:
        self.result = Refreshed()
        self._root = root
        self._state = state
        self._files = files
        self._done = read_document(state)

    def write_bars(self, series: str, codes: Sequence[str]) -> None:
        with translating():
            frame = bars.read_bars(series, codes)
        self._files.write_klines(_plain(frame), series)

    def write_factors(self, _: str, codes: Sequence[str]) -> None:
        with translating():
            frame = bars.read_factors(codes)
        self._files.write_adjust_factors(frame)

    def bring(
        self, series: str, found: _Fingerprints, write: Callable[[str, Sequence[str]], None]
    ) -> None:
        done = self._done.setdefault(series, {})
        directory = self._root / series
        changed = {
            code: one
            for code, one in found.items()
            if done.get(code) != list(one) or not (directory / f"{code}.csv").exists()
        }
        for codes in _batches(changed):
            write(series, codes)
            done.update({code: list(changed[code]) for code in codes})
            atomic_write_bytes(self._state, json.dumps(self._done).encode())
        self.result.written[series] = len(changed)
        self.result.unchanged[series] = len(found) - len(changed)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(code=frame["code"].astype(object))


def _batches(changed: _Fingerprints) -> Iterator[list[str]]:
    batch: list[str] = []
    rows = 0
    for code, (days, _, _) in changed.items():
        if batch and (rows + days > BATCH_BARS or len(batch) == BATCH_CODES):
            yield batch
            batch, rows = [], 0
        batch.append(code)
        rows += days
    if batch:
        yield batch
