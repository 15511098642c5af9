"""Segments of the journal: files of a fixed size, written in place, that tell what they lost.

    frame   magic · length · number · checksum · stamp · two marks · payload, padded to 32 bytes

A file is full of zeros when its first entry comes, so that a write changes no metadata and its
sync is cheap. The checksum covers name of the file and place in it, so that a frame counts
nowhere else. Marks say which reader is done with an entry; they stand outside the checksum,
are written in place by whoever did the work, and a lost or damaged one repeats idempotent work.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from storage_app.contract.errors import Unavailable
from storage_app.stores.file.documents import sync_directory

SUFFIX: Final = ".journal"
UNNAMED: Final = ".new"
SEGMENT_BYTES: Final = 1 << 20
ALIGNMENT: Final = 32

# The first byte is not ASCII, and payloads are ASCII: a magic within a payload cannot be.
_MAGIC: Final = b"\xf5SQJ"
_HEADER: Final = struct.Struct("<4sIIIQHH4x")
_COVERED: Final = struct.Struct("<QIIQ")
_MARK: Final = struct.Struct("<H")
_MARKED: Final = 0xC35A
_FIRST_MARK: Final = 24
_BLOCK: Final = 1 << 14

# Windows has no fdatasync; its fsync does the same.
sync_data = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame stands; the entry that is marked."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Frame:
    place: Place
    number: int
    stamp: int
    payload: bytes
    marks: tuple[bool, bool]
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What a segment does not hold any more; `entries` is 0 where the number is unknown."""

    path: Path
    offset: int
    reason: str
    entries: int = 0

    def __str__(self) -> str:
        return f"{self.path} at byte {self.offset}: {self.reason}"


class Segment:
    """The open end of a journal: one process appends, one entry at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = time.monotonic()
        self._seed = _seed_of(path)
        self._offset = 0
        self.number = 0
        # The number of the last entry that is known to be on the medium.
        self.synced = 0
        self._size = size_of(path)
        self._stream = path.open("r+b", buffering=0)

    def has_room(self, payload: bytes) -> bool:
        return self._offset + frame_size(payload) <= self._size

    def append(
        self, payload: bytes, stamp: int, marks: tuple[bool, bool], *, sync: bool = True
    ) -> Frame:
        """Write an entry in place and sync it; on an OSError the segment must not be used again."""
        offset, number = self._offset, self.number + 1
        frame = _encode(self._seed, offset, number, stamp, payload, marks)
        self._stream.seek(offset)
        if self._stream.write(frame) != len(frame):
            raise OSError(f"{self.path}: the entry was not written whole")
        if sync:
            sync_data(self._stream.fileno())
            self.synced = number
        self._offset, self.number = offset + len(frame), number
        return Frame(Place(self.path, offset), number, stamp, payload, marks, self._offset)

    def is_linked(self) -> bool:
        """Tell whether the file still has its name; what is written to one without it is lost."""
        return os.name == "nt" or os.fstat(self._stream.fileno()).st_nlink > 0

    @property
    def is_behind(self) -> bool:
        """Tell whether something was appended and not synced."""
        return self.synced < self.number

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Sync what was not; the file is closed even if an OSError tells that it failed."""
        try:
            if self.is_behind:
                sync_data(self._stream.fileno())
        finally:
            self._stream.close()

    def abandon(self) -> None:
        self._stream.close()


@dataclass(slots=True)
class Cursor:
    """How far a reader has come in one segment."""

    path: Path
    offset: int = 0
    number: int = 0

    def read(self, *, thoroughly: bool = False) -> tuple[list[Frame], list[Damage]]:
        """Return what was appended since the last call, and what is found damaged in between.

        A frame that is not whole is left for the next call: its writer may be at it. Only a
        thorough reading looks behind a stretch of zeros, and reports a torn end and a cut file.
        """
        start = self.offset
        with self.path.open("rb", buffering=0) as stream:
            data = _read(stream, start, thoroughly=thoroughly)
            met = list(_scan(self.path, data, start))
            if _has_gap(met, start):
                # What stands there may have been written when the reader had passed by.
                data = _read(stream, start, thoroughly=thoroughly)
                met = list(_scan(self.path, data, start))
        frames, damage = [], []
        for found in met:
            lost = found.number - self.number - 1
            if found.place.offset > self.offset or lost > 0:
                damage.append(_describe_gap(self.path, self.offset, found, lost))
            frames.append(found)
            self.offset, self.number = found.end, found.number
        if thoroughly:
            damage += _describe_end(self.path, data[self.offset - start :], self.offset)
        return frames, damage


def _read(stream: FileIO, start: int, *, thoroughly: bool) -> bytes:
    stream.seek(start)
    return stream.readall() if thoroughly else _read_used(stream, start)


def _has_gap(frames: list[Frame], start: int) -> bool:
    ends = [start, *(frame.end for frame in frames)]
    return any(frame.place.offset != end for frame, end in zip(frames, ends, strict=False))


def _read_used(stream: FileIO, start: int) -> bytes:
    """Read up to a block that nothing was written to."""
    blocks: list[bytes] = []
    if any(stream.read(_HEADER.size)):
        stream.seek(start)
        while (block := stream.read(_BLOCK)).strip(b"\0"):
            blocks.append(block)
    return b"".join(blocks)


def create(path: Path) -> None:
    """Make a segment of zeros, durable before it has its name."""
    temporary = path.with_suffix(UNNAMED)
    with temporary.open("wb") as stream:
        stream.write(bytes(size_of(path)))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def segment_name(writer: str, number: int, size: int) -> str:
    """Return a name that tells the size, since a file that was cut cannot."""
    return f"{writer}-{number:06}-{size}{SUFFIX}"


def size_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def frame_size(payload: bytes) -> int:
    return -(-(_HEADER.size + len(payload)) // ALIGNMENT) * ALIGNMENT


@contextmanager
def refusing(directory: Path) -> Iterator[None]:
    """Turn trouble with the disk into Unavailable."""
    try:
        yield
    except OSError as exc:
        raise Unavailable("journal", f"{directory}: {exc.strerror or exc}") from exc


def set_marks(path: Path, offsets: Iterable[int], mark: int, *, sync: bool) -> None:
    """Note that a reader is done with entries; a segment that is gone has nothing to note."""
    try:
        stream = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return
    with stream:
        for offset in offsets:
            stream.seek(offset + _FIRST_MARK + mark * _MARK.size)
            stream.write(_MARK.pack(_MARKED))
        if sync:
            sync_data(stream.fileno())


def read_marks(path: Path, offsets: Iterable[int]) -> list[tuple[bool, bool]]:
    """Return the marks of entries as they stand now, all set when the segment is gone."""
    own = list(offsets)
    first = min(own, default=0)
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(first)
            data = stream.read(max(own, default=0) - first + _HEADER.size)
    except FileNotFoundError:
        return [(True, True) for _ in own]
    return [_marks_at(data, offset - first + _FIRST_MARK) for offset in own]


def _marks_at(data: bytes, start: int) -> tuple[bool, bool]:
    marked = _MARK.pack(_MARKED)
    second = start + _MARK.size
    return data[start:second] == marked, data[second : second + _MARK.size] == marked


def _encode(
    seed: int, offset: int, number: int, stamp: int, payload: bytes, marks: tuple[bool, bool]
) -> bytes:
    checksum = _checksum(seed, offset, number, stamp, payload)
    first, second = (_MARKED if mark else 0 for mark in marks)
    header = _HEADER.pack(_MAGIC, len(payload), number, checksum, stamp, first, second)
    return (header + payload).ljust(frame_size(payload), b"\0")


def _checksum(seed: int, offset: int, number: int, stamp: int, payload: bytes) -> int:
    covered = _COVERED.pack(offset, len(payload), number, stamp)
    return zlib.crc32(payload, zlib.crc32(covered, seed))


def _seed_of(path: Path) -> int:
    return zlib.crc32(path.name.encode())


def _scan(path: Path, data: bytes, base: int) -> Iterator[Frame]:
    """Yield the frames that are whole, skipping to the next one where none stands.

    `data` is what the file holds from `base` on.
    """
    seed, at = _seed_of(path), 0
    while at + _HEADER.size <= len(data):
        frame = _decode(path, seed, data, base, at)
        if frame is not None:
            yield frame
            at = frame.end - base
        else:
            found = data.find(_MAGIC, at + 1)
            if found < 0:
                return
            # A magic out of line is none; the search goes on behind it.
            at = found if found % ALIGNMENT == 0 else found - found % ALIGNMENT + ALIGNMENT


def _decode(path: Path, seed: int, data: bytes, base: int, at: int) -> Frame | None:
    if data[at : at + len(_MAGIC)] != _MAGIC:
        return None
    _, length, number, checksum, stamp, first, second = _HEADER.unpack_from(data, at)
    start, offset = at + _HEADER.size, base + at
    payload = data[start : start + length]
    if len(payload) < length or _checksum(seed, offset, number, stamp, payload) != checksum:
        return None
    marks = (first == _MARKED, second == _MARKED)
    end = offset + frame_size(payload)
    return Frame(Place(path, offset), number, stamp, payload, marks, end)


def _describe_gap(path: Path, offset: int, found: Frame, lost: int) -> Damage:
    span = found.place.offset - offset
    return Damage(path, offset, f"{lost} entries within {span} bytes cannot be read", lost)


def _describe_end(path: Path, rest: bytes, offset: int) -> list[Damage]:
    damage = []
    torn = rest.rstrip(b"\0")
    if torn:
        damage.append(Damage(path, offset, f"a torn entry of {len(torn)} bytes at the end"))
    size = offset + len(rest)
    if size < size_of(path):
        damage.append(Damage(path, size, f"the file was cut to {size} of {size_of(path)} bytes"))
    return damage
