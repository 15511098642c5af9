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
from pathlib import Path
from typing import Final

from storage_app.contract.errors import Unavailable
from storage_app.stores.file.documents import sync_directory

SUFFIX: Final = ".journal"
SEGMENT_BYTES: Final = 1 << 20
ALIGNMENT: Final = 32

# The first byte is not ASCII, and payloads are ASCII: a magic within a payload cannot be.
_MAGIC: Final = b"\xf5SQJ"
_HEADER: Final = struct.Struct("<4sIIIQHH4x")
_COVERED: Final = struct.Struct("<QIIQ")
_MARK: Final = struct.Struct("<H")
_MARKED: Final = 0xC35A
_FIRST_MARK: Final = 24

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
        self._number = 0
        self._size = size_of(path)
        self._stream = path.open("r+b", buffering=0)

    def has_room(self, payload: bytes) -> bool:
        return self._offset + frame_size(payload) <= self._size

    def append(
        self, payload: bytes, stamp: int, marks: tuple[bool, bool], *, sync: bool = True
    ) -> Frame:
        """Write an entry in place and sync it; on an OSError the segment must not be used again."""
        offset, number = self._offset, self._number + 1
        frame = _encode(self._seed, offset, number, stamp, payload, marks)
        self._stream.seek(offset)
        if self._stream.write(frame) != len(frame):
            raise OSError(f"{self.path}: the entry was not written whole")
        if sync:
            sync_data(self._stream.fileno())
        self._offset, self._number = offset + len(frame), number
        return Frame(Place(self.path, offset), number, stamp, payload, marks, self._offset)

    def is_linked(self) -> bool:
        """Tell whether the file still has its name; what is written to one without it is lost."""
        return os.name == "nt" or os.fstat(self._stream.fileno()).st_nlink > 0

    def close(self) -> None:
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
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(self.offset)
            if not thoroughly and not any(stream.read(_HEADER.size)):
                return [], []
            stream.seek(0)
            data = stream.readall()
        frames, damage = [], []
        for found in _scan(self.path, data, self.offset):
            lost = found.number - self.number - 1
            if found.place.offset > self.offset or lost > 0:
                damage.append(_describe_gap(self.path, self.offset, found, lost))
            frames.append(found)
            self.offset, self.number = found.end, found.number
        if thoroughly:
            damage += _describe_end(self.path, data, self.offset)
        return frames, damage


def create(path: Path) -> None:
    """Make a segment of zeros, durable before it has its name."""
    temporary = path.with_suffix(".new")
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


def set_mark(place: Place, mark: int) -> None:
    """Note that a reader is done with an entry; not synced, since the work may be repeated."""
    with place.path.open("r+b", buffering=0) as stream:
        stream.seek(place.offset + _FIRST_MARK + mark * _MARK.size)
        stream.write(_MARK.pack(_MARKED))


def read_marks(path: Path, offsets: Iterable[int]) -> list[tuple[bool, bool]]:
    """Return the marks of entries as they stand now, all set when the segment is gone."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [(True, True) for _ in offsets]
    return [_marks_at(data, offset + _FIRST_MARK) for offset in offsets]


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


def _scan(path: Path, data: bytes, start: int) -> Iterator[Frame]:
    """Yield the frames that are whole, skipping to the next one where none stands."""
    seed, offset = _seed_of(path), start
    while offset + _HEADER.size <= len(data):
        frame = _decode(path, seed, data, offset)
        if frame is not None:
            yield frame
            offset = frame.end
        else:
            found = data.find(_MAGIC, offset + 1)
            if found < 0:
                return
            # A magic out of line is none; the search goes on behind it.
            offset = found if found % ALIGNMENT == 0 else found - found % ALIGNMENT + ALIGNMENT


def _decode(path: Path, seed: int, data: bytes, offset: int) -> Frame | None:
    if data[offset : offset + len(_MAGIC)] != _MAGIC:
        return None
    _, length, number, checksum, stamp, first, second = _HEADER.unpack_from(data, offset)
    start = offset + _HEADER.size
    payload = data[start : start + length]
    if len(payload) < length or _checksum(seed, offset, number, stamp, payload) != checksum:
        return None
    marks = (first == _MARKED, second == _MARKED)
    end = offset + frame_size(payload)
    return Frame(Place(path, offset), number, stamp, payload, marks, end)


def _describe_gap(path: Path, offset: int, found: Frame, lost: int) -> Damage:
    span = found.place.offset - offset
    return Damage(path, offset, f"{lost} entries within {span} bytes cannot be read", lost)


def _describe_end(path: Path, data: bytes, offset: int) -> list[Damage]:
    damage = []
    torn = data[offset:].rstrip(b"\0")
    if torn:
        damage.append(Damage(path, offset, f"a torn entry of {len(torn)} bytes at the end"))
    if len(data) < size_of(path):
        reason = f"the file was cut to {len(data)} of {size_of(path)} bytes"
        damage.append(Damage(path, len(data), reason))
    return damage
