"""Files of daily bars go to the store in blocks of many files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from django.utils.translation import gettext_noop, ngettext

from storage_app.contract.roles import KlineStore
from storage_app.contract.types import MAX_BATCH_CODES, Adjust
from storage_app.imports.results import ImportResult, join_notes, refusal
from storage_app.legacy.bars import PRICES, TICKS, BarFile, read_bars
from storage_app.legacy.directory import BarFolder
from storage_app.legacy.text import LegacyFileError, Rejected

KIND = gettext_noop("daily bars")
_VALUES = [*PRICES, "volume", "amount"]

Mask = npt.NDArray[np.bool_]
Read = tuple[Path, BarFile]


class BarImport:
    """Import folders of bars one after the other; where two tell of one bar, the first counts.

    A bar of an earlier import that has other values is replaced, since adjusted series are
    re-based after each ex-date.
    """

    def __init__(self, store: KlineStore, adjust: Adjust, *, dry_run: bool) -> None:
        self._store = store
        self._adjust = adjust
        self._dry_run = dry_run
        self._sources: dict[str, str] = {}

    def import_folder(self, folder: BarFolder) -> Iterator[ImportResult]:
        block: dict[str, Read] = {}
        for path in folder.files:
            try:
                content = read_bars(path, self._adjust)
            except LegacyFileError as exc:
                yield refusal(path, KIND, exc)
                continue
            if content.code in block or len(block) == MAX_BATCH_CODES:
                yield from self._flush(block, folder.source)
                block = {}
            block[content.code] = (path, content)
        yield from self._flush(block, folder.source)

    def _flush(self, block: dict[str, Read], source: str) -> Iterator[ImportResult]:
        """Write what the store lacks of a block of files, in one insert."""
        bounds = _bounds([content for _, content in block.values()])
        stored = (
            self._store.batch_get_kline(list(block), *bounds, adjust=self._adjust) if bounds else {}
        )
        fresh: list[pd.DataFrame] = []
        results: list[ImportResult] = []
        for path, content in block.values():
            result, lacking = self._compare(path, content, stored.get(content.code))
            results.append(result)
            fresh.append(lacking.assign(code=content.code))
            self._sources.setdefault(content.code, source)
        frame = pd.concat(fresh, ignore_index=True) if fresh else pd.DataFrame()
        if not frame.empty and not self._dry_run:
            self._store.write_klines(frame, self._adjust, source)
        yield from results

    def _compare(
        self, path: Path, content: BarFile, stored: pd.DataFrame | None
    ) -> tuple[ImportResult, pd.DataFrame]:
        is_known, is_equal = _find(content.frame, stored)
        differs = is_known & ~is_equal
        first = self._sources.get(content.code)
        conflicts = differs if first else np.zeros_like(differs)
        lacking = content.frame[~is_equal & ~conflicts]
        rejects = [*content.rejected, *_conflicting(content, conflicts, first)]
        replaced = int((differs & ~conflicts).sum())
        result = ImportResult(
            path,
            KIND,
            read=content.read,
            new=len(lacking),
            same=int(is_equal.sum()) + content.repeated,
            rejects=sorted(rejects, key=lambda row: row.line),
            note=join_notes(content.note, _note_replaced(replaced)),
        )
        return result, lacking


def _bounds(contents: Sequence[BarFile]) -> tuple[str, str] | None:
    """Return the first and last date of a block; None when no bar is left in it."""
    dates = [content.frame["datetime"] for content in contents if len(content.frame)]
    if not dates:
        return None
    return str(min(column.iloc[0] for column in dates)), str(
        max(column.iloc[-1] for column in dates)
    )


def _find(frame: pd.DataFrame, stored: pd.DataFrame | None) -> tuple[Mask, Mask]:
    """Tell which bars are stored, and which of them with equal values."""
    if stored is None or stored.empty:
        nothing = np.zeros(len(frame), dtype=np.bool_)
        return nothing, nothing
    dates = stored["datetime"].to_numpy(dtype=np.int64)
    places = np.searchsorted(dates, frame["datetime"].to_numpy(dtype=np.int64))
    places = np.minimum(places, len(dates) - 1)
    is_known = dates[places] == frame["datetime"].to_numpy()
    theirs = stored[_VALUES].to_numpy(dtype=np.float64)[places]
    ours = frame[_VALUES].to_numpy(dtype=np.float64)
    # Whole ticks are compared: one float may stand a last digit beside the other.
    is_equal = (np.rint(theirs * TICKS) == np.rint(ours * TICKS)).all(axis=1)
    return is_known, is_known & is_equal


def _conflicting(content: BarFile, rows: Mask, first: str | None) -> list[Rejected]:
    dates = content.frame["datetime"].to_numpy()
    reason = f"source {first} has other values for this date"
    return [
        Rejected(int(content.lines[row]), "datetime", str(dates[row]), reason)
        for row in np.flatnonzero(rows)
    ]


def _note_replaced(count: int) -> str:
    if not count:
        return ""
    return ngettext("%(count)d replaced", "%(count)d replaced", count) % {"count": count}
