"""The journal: what this host has acknowledged, on a synced medium, until every store has it.

Each process appends to segments of its own, so that no lock stands on the trading thread. All
processes of a host read all segments: entries of one process come in the order they were
written, those of several by the clock of the host, which they share. Where order matters more
than that, as within a book of positions, entries carry a revision. Whoever holds `draining()`
does the work that entries ask for and marks them; what a dead process left is done by the next.

Segments whose entries are all marked stay for another day and are then removed.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from filelock import FileLock, Timeout

from storage_app import alerts
from storage_app.contract.errors import Unavailable
from storage_app.stores import journal_segments as segments
from storage_app.stores.file.documents import make_directory
from storage_app.stores.forking import renew_after_fork
from storage_app.stores.journal_segments import Cursor, Damage, Place, Segment, refusing

logger = logging.getLogger(__name__)

# The readers of an entry: the server it is owed to, and the files that mirror the server.
PRIMARY: Final = 0
MIRROR: Final = 1
Marks = tuple[bool, bool]
OWED: Final[Marks] = (False, False)

KEPT_SECONDS: Final = 24 * 3600.0
# Nobody appends to a segment this old, so that removing an old one never races with a writer.
_LONGEST_USE: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged change; `stamp` is nanoseconds since 1970 on the clock of the host."""

    place: Place
    stamp: int
    kind: str
    body: Any
    marks: Marks

    @property
    def age(self) -> float:
        return time.time() - self.stamp / 1e9


_by_stamp = attrgetter("stamp")


class Journal:
    """The journal below a directory; threads share one, each process opens its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._writer = _new_writer()
        self._numbers = itertools.count(1)
        self._last_stamp = 0
        self._segment: Segment | None = None
        self._spare: Path | None = None
        renew_after_fork(self)

    def append(self, kind: str, body: Any, *, marks: Marks = OWED, sync: bool = True) -> Entry:
        """Return when the entry is on a synced medium, or `sync=False`, safe from a dead process.

        What was not synced is on the medium after the next `flush()`.

        Unavailable means that nothing is known about it; it is found or lost at the next reading.
        """
        payload = json.dumps([kind, body], separators=(",", ":")).encode("ascii")
        with self._lock, refusing(self.directory):
            stamp = self._last_stamp = max(time.time_ns(), self._last_stamp + 1)
            while True:
                segment = self._segment_for(payload)
                try:
                    frame = segment.append(payload, stamp, marks, sync=sync)
                except OSError:
                    self._give_up(segment)
                    raise
                if segment.is_linked():
                    return Entry(frame.place, stamp, kind, body, marks)
                self._drop_segment()

    def prepare(self) -> None:
        """Have the next segment ready, so that no writer waits for it."""
        with refusing(self.directory):
            if self._spare is None and self._segment is not None:
                self._spare = self._create(segments.SEGMENT_BYTES)

    def flush(self) -> None:
        """Sync what was appended without; nobody who appends has to wait for it."""
        with self._lock:
            segment = self._segment
            if segment is None or not segment.is_behind:
                return
            number, descriptor = segment.number, os.dup(segment.fileno())
        try:
            with refusing(self.directory):
                segments.sync_data(descriptor)
        except Unavailable:
            with self._lock:
                self._give_up(segment)
            raise
        finally:
            os.close(descriptor)
        segment.synced = max(segment.synced, number)

    def tail(self) -> Tail:
        return Tail(self.directory)

    def since(self, moment: float) -> list[Entry]:
        """Return the entries of the host since a moment, in seconds since 1970, oldest first."""
        entries: list[Entry] = []
        with refusing(self.directory):
            for path in _segments_in(self.directory):
                try:
                    if path.stat().st_mtime >= moment:
                        frames, _damage = Cursor(path).read()
                        entries += [_entry(one) for one in frames if one.stamp >= moment * 1e9]
                except FileNotFoundError:
                    continue
        return sorted(entries, key=_by_stamp)

    def mark(self, entries: Iterable[Entry], reader: int, *, sync: bool = False) -> None:
        """Note that the work of a reader is done; a mark that is lost repeats the work.

        `sync=True` for work that must not be repeated over later work after a power cut.
        """
        offsets: dict[Path, list[int]] = {}
        for entry in entries:
            offsets.setdefault(entry.place.path, []).append(entry.place.offset)
        with refusing(self.directory):
            for path, own in offsets.items():
                segments.set_marks(path, own, reader, sync=sync)

    @contextmanager
    def draining(self, timeout: float = 0.0) -> Iterator[bool]:
        """Yield True to the one process and thread of the host that may do owed work now."""
        make_directory(self.directory)
        lock = FileLock(self.directory / "draining.lock", timeout, poll_interval=0.01)
        with refusing(self.directory):
            try:
                lock.acquire()
            except Timeout:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    def sweep(self) -> int:
        """Remove segments whose work has been done for a day; return how many."""
        removed = 0
        for path in self.directory.glob(f"*{segments.UNNAMED}"):
            # A process died while it made a segment.
            if _is_expired(path):
                path.unlink(missing_ok=True)
        for path in _segments_in(self.directory):
            try:
                if _is_expired(path) and _is_retired(path):
                    path.unlink()
                    removed += 1
            except (FileNotFoundError, PermissionError):
                # Swept by another process, or still open on Windows.
                continue
        return removed

    def close(self) -> None:
        """Sync and give the open segment back; the next append begins another one."""
        with self._lock, refusing(self.directory):
            self._drop_segment()
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.unlink(missing_ok=True)

    def _segment_for(self, payload: bytes) -> Segment:
        segment = self._segment
        if segment is not None:
            young = time.monotonic() - segment.opened < _LONGEST_USE
            if young and segment.has_room(payload):
                return segment
            self._drop_segment()
        size = max(segments.SEGMENT_BYTES, segments.frame_size(payload))
        spare, self._spare = self._spare, None
        if spare is None or segments.size_of(spare) < size or not spare.exists():
            spare = self._create(size)
        self._segment = Segment(spare)
        return self._segment

    def _create(self, size: int) -> Path:
        make_directory(self.directory)
        path = self.directory / segments.segment_name(self._writer, next(self._numbers), size)
        segments.create(path)
        return path

    def _drop_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _give_up(self, segment: Segment) -> None:
        """Append nothing behind what a failed sync left, since nobody knows what that is."""
        if self._segment is segment:
            self._segment = None
        segment.abandon()

    def after_fork(self) -> None:
        """Begin anew in a child: the segments are the parent's."""
        self._lock = threading.Lock()
        self._writer = _new_writer()
        self._numbers = itertools.count(1)
        self._spare = None
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.abandon()


class Tail:
    """A reader that meets each entry once; entries carry the marks of the moment they are read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cursors: dict[str, Cursor] = {}

    def read(self) -> tuple[list[Entry], list[Damage]]:
        """Return new entries, oldest first, and damage not reported before."""
        entries: list[Entry] = []
        damage: list[Damage] = []
        with refusing(self.directory):
            for path in _segments_in(self.directory):
                cursor = self._cursors.get(path.name)
                is_new = cursor is None
                if cursor is None:
                    cursor = self._cursors[path.name] = Cursor(path)
                try:
                    frames, found = cursor.read(thoroughly=is_new and _is_quiet(path))
                except FileNotFoundError:
                    continue
                entries += map(_entry, frames)
                damage += found
        for one in damage:
            logger.error("Journal damaged: %s", one)
            alerts.send(
                f"damage {one.path.name}", _("The journal is damaged"), str(one), standing=True
            )
        return sorted(entries, key=_by_stamp), damage


def with_marks(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries with their marks as they stand now, a segment read once."""
    by_path: dict[Path, list[Entry]] = {}
    for entry in entries:
        by_path.setdefault(entry.place.path, []).append(entry)
    fresh: list[Entry] = []
    for path, own in by_path.items():
        with refusing(path):
            marks = segments.read_marks(path, [entry.place.offset for entry in own])
        fresh += map(_with_marks, own, marks)
    return sorted(fresh, key=_by_stamp)


def _with_marks(entry: Entry, marks: Marks) -> Entry:
    return entry if entry.marks == marks else replace(entry, marks=marks)


def inspect(directory: Path) -> tuple[list[Entry], list[Damage]]:
    """Return every entry that is kept, oldest first, and all damage there is."""
    entries: list[Entry] = []
    damage: list[Damage] = []
    with refusing(directory):
        for path in _segments_in(directory):
            frames, found = Cursor(path).read(thoroughly=True)
            entries += map(_entry, frames)
            damage += found
    return sorted(entries, key=_by_stamp), damage


def _entry(frame: segments.Frame) -> Entry:
    kind, body = json.loads(frame.payload)
    return Entry(frame.place, frame.stamp, kind, body, frame.marks)


def _segments_in(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{segments.SUFFIX}"))


def _new_writer() -> str:
    """Return a name that no other writer of the host has or had."""
    return f"{time.time_ns():016x}-{os.getpid()}-{secrets.token_hex(3)}"


# Younger ones may be within a write, which is no damage.
_QUIET_SECONDS: Final = 5.0


def _is_quiet(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _QUIET_SECONDS


def _is_expired(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > KEPT_SECONDS


def _is_retired(path: Path) -> bool:
    frames, damage = Cursor(path).read(thoroughly=True)
    # A damaged segment is evidence: a person looks at it first.
    return not damage and all(all(frame.marks) for frame in frames)
