"""Repeated reads of bars from memory, never older than the last import.

Every import on this machine stamps one small file under DATA_DIR, whatever process it runs in,
and a cached answer counts only while the stamp is the one that was read before the query. So on
this machine an import that has returned is seen by the next read. An import on another machine,
or one that was killed before it could stamp, is seen within MAX_AGE seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from django.conf import settings

MAX_AGE = 2.0
MAX_ENTRIES = 4096

T = TypeVar("T")
# What the source of an answer looked like; None when there is no source yet.
Stamp = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    stamp: Stamp
    expires: float
    value: T


class FreshCache(Generic[T]):
    """The answers used last, bounded in number; safe for threads."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_age: float = MAX_AGE) -> None:
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._max_entries = max_entries
        self._max_age = max_age
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamp: Stamp) -> T | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.stamp != stamp or entry.expires < time.monotonic():
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry.value

    def put(self, key: Hashable, stamp: Stamp, value: T) -> None:
        """Keep `value`, read after `stamp` was taken."""
        with self._lock:
            self._entries[key] = _Entry(stamp, time.monotonic() + self._max_age, value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def read_stamp() -> Stamp:
    """Return what every import on this machine changes; None before the first."""
    try:
        status = os.stat(_stamp_path())  # noqa: PTH116 - a Path costs more than the call
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


@contextmanager
def changing_bars() -> Iterator[None]:
    """Stamp after a change, also when it failed: part of it may have arrived."""
    try:
        yield
    finally:
        _write_stamp()


def _write_stamp() -> None:
    path = Path(_stamp_path())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    # Set by hand, since the file system's own clock advances in steps of milliseconds.
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _stamp_path() -> str:
    return f"{settings.DATA_DIR}/klines.stamp"
