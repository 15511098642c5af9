"""What is owed, and the thread that brings it where it belongs.

An outbox stands over the journal of a directory, one in each process. Roles append to it and
name the work that their entries ask for; a daemon thread does the work soon after each append,
and each second looks for what other processes left. The work of a host is done by one process
at a time and is idempotent, so it may be interrupted anywhere.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from storage_app.contract.errors import StorageError, Unavailable
from storage_app.stores.journal import OWED, Entry, Journal, Marks, with_marks
from storage_app.stores.journal_segments import Damage, Place

logger = logging.getLogger(__name__)

# Entries of one moment make one block.
GATHER_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
# After what no retry will mend.
PATIENCE_SECONDS: Final = 60.0
SWEEP_SECONDS: Final = 600.0
CLOSE_SECONDS: Final = 1.0

# Takes entries oldest first; yields those that are done, part by part.
Work: TypeAlias = Callable[[list[Entry]], Iterator[list[Entry]]]
Task: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class _Chore:
    call: Callable[[], object]
    seconds: float
    due: float = 0.0


class Outbox:
    """Share it through `open_outbox`; the last `close` ends its thread."""

    def __init__(self, directory: Path) -> None:
        self.journal = Journal(directory)
        self.damage: list[Damage] = []
        self.users = 0
        self._tail = self.journal.tail()
        self._owed: dict[Place, Entry] = {}
        self._work: dict[Task, Work] = {}
        self._observers: dict[str, Callable[[Entry], None]] = {}
        self._not_before: dict[Task, float] = {}
        self._chores: dict[str, _Chore] = {}
        self.every(SWEEP_SECONDS, "sweeping the journal", self.journal.sweep)
        self._shared: dict[str, Any] = {}
        self._closers: dict[str, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._make_locks()

    def _make_locks(self) -> None:
        self._state = threading.RLock()
        self._wake = threading.Event()
        self._progress = threading.Condition()

    def register(self, kind: str, reader: int, work: Work) -> None:
        """Say what brings entries of a kind to a reader of the journal."""
        self._work[kind, reader] = work

    def observe(self, kind: str, observer: Callable[[Entry], None]) -> None:
        """Show entries of a kind to somebody, each once, also those of other processes."""
        self._observers[kind] = observer

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what all stores over this outbox have in common, made once."""
        with self._state:
            if name not in self._shared:
                self._shared[name] = make()
            return self._shared[name]

    def at_close(self, name: str, action: Callable[[], object]) -> None:
        self._closers[name] = action

    def every(self, seconds: float, name: str, chore: Callable[[], object]) -> None:
        """Do something soon and then again and again, in the background."""
        self._chores[name] = _Chore(chore, seconds)

    def append(self, kind: str, body: Any, *, marks: Marks = OWED, sync: bool = True) -> Entry:
        """Return when the entry is safe; its work is done soon afterwards."""
        entry = self.journal.append(kind, body, marks=marks, sync=sync)
        with self._state:
            self._owed[entry.place] = entry
        self.wake()
        return entry

    def wake(self) -> None:
        """Have the owed work done now."""
        self._start()
        self._wake.set()

    def retry(self) -> None:
        """Try again at once what failed a moment ago."""
        self._not_before.clear()
        self.wake()

    def owed(self, kind: str, reader: int) -> list[Entry]:
        """Return what this host still owes to a reader, oldest first."""
        self._read_new()
        return self._pending(kind, reader)

    def settle(self, kind: str, reader: int, timeout: float) -> list[Entry]:
        """Wait a moment for owed work to be done; return what is left."""
        deadline = time.monotonic() + timeout
        pending = self.owed(kind, reader)
        while pending and time.monotonic() < deadline:
            if self._not_before.get((kind, reader), 0.0) > time.monotonic():
                break
            self.wake()
            with self._progress:
                self._progress.wait(0.02)
            pending = self._pending(kind, reader)
        return pending

    def drain(self, timeout: float = 0.0) -> bool:
        """Do all the work that can be done; False if another process is at it."""
        if not self._owed and not self.journal.directory.is_dir():
            return True
        with self.journal.draining(timeout) as is_mine:
            if not is_mine:
                return False
            self._read_new()
            for task in list(self._work):
                if self._not_before.get(task, 0.0) <= time.monotonic():
                    self._do(task)
        with self._progress:
            self._progress.notify_all()
        return True

    def drain_all(self, timeout: float) -> bool:
        """Try until nothing is owed; False if something still is after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            self.retry()
            with self._progress:
                self._progress.wait(0.05)
            if not any(self.owed(kind, reader) for kind, reader in list(self._work)):
                return True
            if time.monotonic() > deadline:
                return False

    def counts(self) -> dict[str, tuple[int, float]]:
        """Return how many entries of each kind are owed to a server, and the age of the oldest."""
        self._read_new()
        kinds = {kind for kind, _ in self._work}
        pending = {kind: self._pending(kind, 0) for kind in sorted(kinds)}
        return {kind: (len(own), own[0].age) for kind, own in pending.items() if own}

    def close(self) -> None:
        """Do what can be done within a second, and end the thread."""
        self._stopping = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            thread.join(CLOSE_SECONDS)
        for action in self._closers.values():
            action()
        self.journal.close()

    def after_fork(self) -> None:
        self._make_locks()
        self._thread = None

    def _start(self) -> None:
        thread = self._thread
        if thread is None or not thread.is_alive():
            with self._state:
                if self._thread is None or not self._thread.is_alive():
                    self._stopping = False
                    self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            is_last = self._stopping
            if not is_last:
                time.sleep(GATHER_SECONDS)
            try:
                if not self.drain():
                    self._wake.set()
                self._keep_house()
            except Exception:  # the thread lives as long as the process
                logger.exception("Bringing owed writes where they belong failed")
            if is_last:
                return

    def _keep_house(self) -> None:
        self.journal.prepare()
        for name, chore in list(self._chores.items()):
            if chore.due <= time.monotonic() and not self._stopping:
                chore.due = time.monotonic() + chore.seconds
                try:
                    chore.call()
                except Unavailable as exc:
                    logger.debug("%s: %s", name, exc)
                except StorageError:
                    # A person has to look at it; the other chores go on.
                    chore.due = time.monotonic() + PATIENCE_SECONDS
                    logger.exception("%s failed", name)

    def _read_new(self) -> None:
        with self._state:
            entries, damage = self._tail.read()
            self.damage += damage
            for entry in entries:
                if all(entry.marks):
                    self._owed.pop(entry.place, None)
                else:
                    self._owed[entry.place] = entry
        for entry in entries:
            observer = self._observers.get(entry.kind)
            if observer is not None:
                observer(entry)

    def _pending(self, kind: str, reader: int) -> list[Entry]:
        with self._state:
            own = [entry for entry in self._owed.values() if entry.kind == kind]
            # Another process may have done the work.
            fresh = with_marks(own)
            self._keep(fresh)
        return [entry for entry in fresh if not entry.marks[reader]]

    def _keep(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if all(entry.marks):
                self._owed.pop(entry.place, None)
            else:
                self._owed[entry.place] = entry

    def _do(self, task: Task) -> None:
        kind, reader = task
        pending = self._pending(kind, reader)
        if not pending:
            return
        try:
            for done in self._work[task](pending):
                self.journal.mark(done, reader)
        except Unavailable as exc:
            self._not_before[task] = time.monotonic() + RETRY_SECONDS
            logger.debug("%d entries %s stay owed: %s", len(pending), kind, exc)
        except Exception:  # an entry that nobody can send must not keep others from being sent
            self._not_before[task] = time.monotonic() + PATIENCE_SECONDS
            logger.exception("Entries of kind %s cannot be sent and stay in the journal", kind)


_outboxes: dict[Path, Outbox] = {}
_opening = threading.Lock()


def open_outbox(directory: Path) -> Outbox:
    """Return the outbox of a directory in this process; give it back with `close_outbox`."""
    with _opening:
        outbox = _outboxes.setdefault(directory.absolute(), Outbox(directory.absolute()))
        outbox.users += 1
    outbox.wake()
    return outbox


def close_outbox(outbox: Outbox) -> None:
    with _opening:
        outbox.users -= 1
        if outbox.users > 0:
            return
        if _outboxes.get(outbox.journal.directory) is outbox:
            del _outboxes[outbox.journal.directory]
    outbox.close()


def close_all() -> None:
    """End the threads of this process; stores that are still open begin them again when used."""
    with _opening:
        open_now = list(_outboxes.values())
        _outboxes.clear()
    for outbox in open_now:
        outbox.close()


def _begin_anew_in_child() -> None:
    global _opening
    _opening = threading.Lock()
    for outbox in _outboxes.values():
        outbox.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
