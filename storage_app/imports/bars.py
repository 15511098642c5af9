"""Files of daily bars go to the store in blocks of many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from storage_app.contract.roles import KlineStore
from storage_app.imports.cursor import Cursor
from storage_app.imports.options import ImportOptions, note_outside
from storage_app.imports.rejects import RejectLog
from storage_app.imports.results import ImportResult, join_notes, refusal
from storage_app.legacy.bar_blocks import BarBlock, FileFacts, read_bar_block
from storage_app.legacy.bars import PRICES, TICKS, code_of
from storage_app.legacy.directory import BarFolder
from storage_app.legacy.text import LegacyFileError, Rejected

KIND = gettext_noop("daily bars")
BLOCK_ROWS = 250_000
_VALUES = [*PRICES, "volume", "amount"]
# A row of a file has about so many bytes; the sizes of files tell how many make a block.
_ROW_BYTES = 50
_BLOCK_FILES = 500
# Keys of rows are the place of the code and the date (YYYYMMDD).
_DATES = 10**8

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


class BarImport:
    """Import folders of bars one after the other; where two tell of one bar, the first counts.

    A bar of an earlier import that has other values is replaced, since adjusted series are
    re-based after each ex-date.
    """

    def __init__(self, store: KlineStore, options: ImportOptions, cursor: Cursor | None) -> None:
        self._store = store
        self._options = options
        self._cursor = cursor
        # The source that each code came from in this import.
        self._sources: dict[str, str] = {}

    def import_folder(self, folder: BarFolder) -> Iterator[ImportResult]:
        done = 0
        for paths in self._blocks(folder.files):
            results = [*self._known(paths, folder.source)]
            known = {result.path for result in results}
            results += self._import_block([p for p in paths if p not in known], folder.source)
            order = {path: place for place, path in enumerate(paths)}
            yield from sorted(results, key=lambda result: order[result.path])
            done += len(paths)
            self._options.watch.step(_(KIND), done, len(folder.files), _("files"))

    def _blocks(self, files: Iterable[Path]) -> Iterator[list[Path]]:
        """Cut the files into blocks of different codes and of about the wanted number of rows."""
        most = (self._options.batch_size or BLOCK_ROWS) * _ROW_BYTES
        block: list[Path] = []
        codes: set[str] = set()
        size = 0
        for path in files:
            code, length = _code(path), path.stat().st_size
            if block and (code in codes or size + length > most or len(block) == _BLOCK_FILES):
                yield block
                block, codes, size = [], set(), 0
            block.append(path)
            codes.add(code)
            size += length
        if block:
            yield block

    def _known(self, paths: list[Path], source: str) -> Iterator[ImportResult]:
        """Yield the results of files that a stopped run has finished."""
        if self._cursor is None or not len(self._cursor):
            return
        for path in paths:
            result = self._cursor.find(path)
            if result:
                self._sources.setdefault(_code(path), source)
                yield result

    def _import_block(self, paths: list[Path], source: str) -> list[ImportResult]:
        """Write what the store lacks of a block of files, in one insert."""
        if not paths:
            return []
        block, outside = self._limited(read_bar_block(paths, self._options.adjust))
        found = _compare(block, self._stored(block))
        firsts = [self._sources.get(file.code, "") for file in block.files]
        has_first = np.array([bool(first) for first in firsts], dtype=np.bool_)[block.place]
        conflicts = found.differs & has_first
        lacking = ~found.is_equal & ~conflicts
        self._write(block, lacking, source)
        results = self._results(block, outside, found, conflicts, firsts)
        for file in block.files:
            self._sources.setdefault(file.code, source)
        if self._cursor is not None and not self._options.dry_run:
            self._cursor.finish(results)
        return [*results, *(refusal(error.path, KIND, error) for error in block.refused)]

    def _limited(self, block: BarBlock) -> tuple[BarBlock, Integers]:
        """Return the block without rows outside the dates, and their number by file."""
        files = len(block.files)
        if not self._options.is_limited:
            return block, np.zeros(files, dtype=np.int64)
        since, until = self._options.since, self._options.until
        dates = block.frame["datetime"].to_numpy(dtype=np.int64)
        wanted = np.ones(len(block), dtype=np.bool_)
        if since:
            wanted &= dates >= int(f"{since:%Y%m%d}")
        if until:
            wanted &= dates <= int(f"{until:%Y%m%d}")
        outside = np.bincount(block.place[~wanted], minlength=files)
        frame = block.frame[wanted].reset_index(drop=True)
        kept = BarBlock(block.files, frame, block.place[wanted], block.lines[wanted], block.refused)
        return kept, outside

    def _stored(self, block: BarBlock) -> pd.DataFrame:
        if not len(block):
            return pd.DataFrame()
        dates = block.frame["datetime"]
        codes = [file.code for file in block.files]
        bounds = str(dates.min()), str(dates.max())
        return self._store.read_kline_frame(codes, *bounds, adjust=self._options.adjust)

    def _write(self, block: BarBlock, rows: Mask, source: str) -> None:
        if self._options.dry_run or not rows.any():
            return
        codes = pd.Categorical.from_codes(
            block.place[rows], categories=pd.Index([file.code for file in block.files])
        )
        frame = block.frame[rows].reset_index(drop=True).assign(code=codes)
        self._store.write_klines(frame, self._options.adjust, source)

    def _results(
        self,
        block: BarBlock,
        outside: Integers,
        found: _Found,
        conflicts: Mask,
        firsts: list[str],
    ) -> list[ImportResult]:
        count = _Count(block.place, len(block.files))
        rejected = _by_file(block, conflicts, firsts)
        figures = zip(
            count(~found.is_equal & ~conflicts),
            count(found.is_equal),
            count(found.differs & ~conflicts),
            outside.tolist(),
            strict=True,
        )
        return [
            self._result(file, rejected.get(place, []), *numbers)
            for place, (file, numbers) in enumerate(zip(block.files, figures, strict=True))
        ]

    def _result(
        self,
        file: FileFacts,
        conflicts: list[Rejected],
        new: int,
        same: int,
        replaced: int,
        outside: int,
    ) -> ImportResult:
        log = RejectLog(file.path, self._options.rejects)
        log.add([*file.rejected, *conflicts])
        return ImportResult(
            file.path,
            KIND,
            read=file.read - outside,
            new=new,
            same=same + file.repeated,
            rejects=log.kept,
            note=join_notes(file.note, _note_replaced(replaced), note_outside(outside)),
            more_rejected=log.more,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Which bars are stored with equal values, and which with others."""

    is_equal: Mask
    differs: Mask


def _compare(block: BarBlock, stored: pd.DataFrame) -> _Found:
    nothing = np.zeros(len(block), dtype=np.bool_)
    if stored.empty:
        return _Found(nothing, nothing)
    places = {file.code: place for place, file in enumerate(block.files)}
    known = np.array([places.get(code, -1) for code in stored["code"].cat.categories])
    their_keys = known[stored["code"].cat.codes] * _DATES + stored["datetime"].to_numpy()
    order = np.argsort(their_keys, kind="stable")
    their_keys = their_keys[order]
    our_keys = block.place * _DATES + block.frame["datetime"].to_numpy(dtype=np.int64)
    row = np.minimum(np.searchsorted(their_keys, our_keys), len(their_keys) - 1)
    is_known = their_keys[row] == our_keys
    theirs = stored[_VALUES].to_numpy(dtype=np.float64)[order[row]]
    ours = block.frame[_VALUES].to_numpy(dtype=np.float64)
    # Whole ticks are compared: one float may stand a last digit beside the other.
    is_equal = is_known & (np.rint(theirs * TICKS) == np.rint(ours * TICKS)).all(axis=1)
    return _Found(is_equal, is_known & ~is_equal)


class _Count:
    """Counts rows by file."""

    def __init__(self, place: Integers, files: int) -> None:
        self._place = place
        self._files = files

    def __call__(self, rows: Mask) -> list[int]:
        counts: list[int] = np.bincount(self._place[rows], minlength=self._files).tolist()
        return counts


def _by_file(block: BarBlock, conflicts: Mask, firsts: list[str]) -> dict[int, list[Rejected]]:
    """Return the rows that contradict an earlier source, by the place of their file."""
    found: dict[int, list[Rejected]] = {}
    for row in np.flatnonzero(conflicts):
        place = int(block.place[row])
        date = str(block.frame["datetime"].iloc[row])
        reason = f"source {firsts[place]} has other values for this date"
        line = int(block.lines[row])
        found.setdefault(place, []).append(Rejected(line, "datetime", date, reason))
    return found


def _code(path: Path) -> str:
    """Return the code, or the name of a file that has none and will be refused."""
    try:
        return code_of(path)
    except LegacyFileError:
        return path.name


def _note_replaced(count: int) -> str:
    if not count:
        return ""
    return ngettext("%(count)d replaced", "%(count)d replaced", count) % {"count": count}
