"""Many files of daily bars read as one block, which takes a tenth of the time of one by one.

A file without any oddity is parsed together with its neighbours and judged with them; a file
that has one row that breaks a rule, or that is written in another way, is read by itself
(`bars.read_bars`), which names each row. Both ways give the same bars.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from storage_app.contract.types import BAR_COLUMNS, Adjust
from storage_app.legacy import bars
from storage_app.legacy.bars import LOT, BarFile, Mask, code_of
from storage_app.legacy.text import LARGEST_FILE, LegacyFileError, Rejected, read_bytes

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is to be said of one file, beside its bars; see `BarFile`."""

    path: Path
    code: str
    read: int
    repeated: int = 0
    rejected: Sequence[Rejected] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class BarBlock:
    """Bars of several files, the rows of one file together and by date.

    `place` is the index in `files` of each row, `lines` its line. `frame` has BAR_COLUMNS, prices
    and sizes as in `BarFile`. `refused` are files of which nothing was read.
    """

    files: list[FileFacts]
    frame: pd.DataFrame
    place: Integers
    lines: Integers
    refused: list[LegacyFileError] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frame)


def read_bar_block(paths: Sequence[Path], adjust: Adjust = Adjust.NONE) -> BarBlock:
    """Read files of different codes, in their order as far as they can be read."""
    found: dict[Path, BarFile | LegacyFileError] = {}
    plain = _plain_files(paths)
    clean = [part for group in plain for part in _read_together(group, adjust)]
    together = {path for part in clean for path in part.paths}
    for path in paths:
        if path not in together:
            found[path] = _read_alone(path, adjust)
    return _join(clean, found)


@dataclass(frozen=True, slots=True)
class _Plain:
    """The bytes of a file whose lines can be counted and parsed with those of others."""

    path: Path
    header: bytes
    body: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class _Clean:
    """Files parsed together of which each row passed."""

    paths: list[Path]
    counts: Integers
    units: Integers
    frame: pd.DataFrame


def _plain_files(paths: Iterable[Path]) -> list[list[_Plain]]:
    """Return the files without any oddity, those with the same header together."""
    groups: dict[bytes, list[_Plain]] = {}
    for path in paths:
        file = _plain(path)
        if file:
            groups.setdefault(file.header, []).append(file)
    return list(groups.values())


def _plain(path: Path) -> _Plain | None:
    try:
        code_of(path)
        data = read_bytes(path)
    except LegacyFileError:
        return None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    header, _, body = data.partition(b"\n")
    is_odd = (
        len(data) > LARGEST_FILE
        or not set(BAR_COLUMNS) <= set(header.decode("ascii", "replace").split(","))
        or not body.endswith(b"\n")
        or body.startswith(b"\n")
        or b"\n\n" in body
        or any(mark in data for mark in (b'"', b"\r", b"\0"))
    )
    return None if is_odd else _Plain(path, header, body, body.count(b"\n"))


def _read_together(files: list[_Plain], adjust: Adjust) -> list[_Clean]:
    """Parse files in one go; where one of them cannot be parsed, in halves that can."""
    if not files:
        return []
    frame = _parse(files)
    if frame is None:
        if len(files) == 1:
            return []
        half = len(files) // 2
        return [*_read_together(files[:half], adjust), *_read_together(files[half:], adjust)]
    return [_clean_files(files, frame, adjust)]


def _parse(files: list[_Plain]) -> pd.DataFrame | None:
    names = files[0].header.decode("ascii").split(",")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(b"".join(file.body for file in files)),
                header=None,
                names=names,
                usecols=list(BAR_COLUMNS),
                dtype=dict.fromkeys(BAR_COLUMNS, "float64"),
                index_col=False,
            )[list(BAR_COLUMNS)]
    except (ValueError, pd.errors.ParserWarning):
        return None
    return frame if len(frame) == sum(file.rows for file in files) else None


def _clean_files(files: list[_Plain], frame: pd.DataFrame, adjust: Adjust) -> _Clean:
    """Return the files of which every row passes, in units of shares and yuan."""
    counts = np.array([file.rows for file in files], dtype=np.int64)
    place = np.repeat(np.arange(len(files)), counts)
    is_odd = ~np.isfinite(frame.to_numpy()).all(axis=1)
    # Nothing is to be reckoned with what is no number; these files are read by themselves.
    frame[is_odd] = 0.0
    is_odd[1:] |= (np.diff(frame["datetime"].to_numpy()) <= 0) & (np.diff(place) == 0)
    units, is_known = _units(frame, place, len(files), adjust)
    shares = bars.in_units(frame, units[place])
    is_odd |= ~bars.judge(shares, adjust, units[place]).passed
    is_clean = is_known & (np.bincount(place[is_odd], minlength=len(files)) == 0)
    kept = np.flatnonzero(is_clean)
    whole = shares[is_clean[place]].reset_index(drop=True)
    return _Clean([files[index].path for index in kept], counts[kept], units[kept], whole)


def _units(
    frame: pd.DataFrame, place: Integers, files: int, adjust: Adjust
) -> tuple[Integers, Mask]:
    """Return the unit of each file's volume, and of which files it can be told.

    As for a single file, the rows whose prices are (nearly) raw decide by a majority.
    """
    traded = np.flatnonzero((frame["volume"] > 0) & (frame["low"] > 0))
    if adjust is not Adjust.HFQ:
        traded = traded[::-1]
    asked = traded[_rank_in_file(place[traded]) < bars.UNIT_ROWS]
    rows = frame.iloc[asked]
    voters = np.bincount(place[asked], minlength=files)
    shares, lots = (
        np.bincount(place[asked[bars.fits(rows, unit)]], minlength=files) for unit in (1, LOT)
    )
    units = np.where(lots > shares, LOT, 1)
    is_known = (voters == 0) | (np.maximum(shares, lots) * 2 > voters)
    return units, is_known


def _rank_in_file(place: Integers) -> Integers:
    """Return how many rows of the same file stand before each; rows of a file are together."""
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    sizes = np.diff(np.append(starts, len(place)))
    return np.arange(len(place)) - np.repeat(starts, sizes)


def _read_alone(path: Path, adjust: Adjust) -> BarFile | LegacyFileError:
    try:
        return bars.read_bars(path, adjust)
    except LegacyFileError as exc:
        return exc


def _join(clean: list[_Clean], alone: dict[Path, BarFile | LegacyFileError]) -> BarBlock:
    facts: list[FileFacts] = []
    frames: list[pd.DataFrame] = []
    counts: list[Integers] = []
    lines: list[Integers] = []
    for part in clean:
        facts += _facts(part)
        frames.append(part.frame)
        counts.append(part.counts)
        ends = np.cumsum(part.counts)
        lines.append(np.arange(len(part.frame)) - np.repeat(ends - part.counts, part.counts) + 2)
    for path, file in alone.items():
        if isinstance(file, BarFile):
            facts.append(
                FileFacts(path, file.code, file.read, file.repeated, file.rejected, file.note)
            )
            frames.append(file.frame)
            counts.append(np.array([len(file.frame)]))
            lines.append(file.lines)
    refused = [file for file in alone.values() if isinstance(file, LegacyFileError)]
    if not frames:
        nothing = np.empty(0, dtype=np.int64)
        return BarBlock([], pd.DataFrame(columns=list(BAR_COLUMNS)), nothing, nothing, refused)
    frame = pd.concat(frames, ignore_index=True).astype({"datetime": np.int64})
    place = np.repeat(np.arange(len(facts)), np.concatenate(counts))
    return BarBlock(facts, frame, place, np.concatenate(lines), refused)


def _facts(part: _Clean) -> list[FileFacts]:
    dates = part.frame["datetime"].to_numpy().astype(np.int64)
    place = np.repeat(np.arange(len(part.paths)), part.counts)
    on_closed = np.flatnonzero(np.isin(dates, bars.closed_dates(dates)))
    closed = np.bincount(place[on_closed], minlength=len(part.paths))
    # Written from the last to the first, so that the first one stays.
    first = dict(zip(place[on_closed][::-1].tolist(), dates[on_closed][::-1].tolist(), strict=True))
    facts = []
    for index, path in enumerate(part.paths):
        notes = (
            bars.note_unit(int(part.units[index])),
            bars.note_closed(int(closed[index]), first.get(index, 0)),
        )
        note = "; ".join(text for text in notes if text)
        facts.append(FileFacts(path, code_of(path), int(part.counts[index]), note=note))
    return facts
