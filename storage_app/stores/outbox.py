"""What is owed, and the thread that brings it where it belongs.

An outbox stands over the journal of a directory, one in each process. Roles append to it and
name the work that their entries ask for; a daemon thread does the work soon after each append,
and each second looks for what other processes left. The work of a host is done by one process
at a time and is idempotent, so it may be interrupted anywhere. What was appended without a sync
is synced by a thread of its own, which no server holds up.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from storage_app.contract.errors import Unavailable
from storage_app.stores import outages
from storage_app.stores.background import Worker
from storage_app.stores.breaker import Breaker
from storage_app.stores.forking import renew_after_fork
from storage_app.stores.journal import OWED, Entry, Journal, Marks, with_marks
from storage_app.stores.journal_segments import Damage, Place

logger = logging.getLogger(__name__)

# Entries of one moment make one block.
GATHER_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 1.0
# Until the next look while another process is at work.
TURN_SECONDS: Final = 0.1
# An entry that was appended without a sync is synced within a second.
SYNC_SECONDS: Final = 0.4
RETRY_SECONDS: Final = 1.0
# After what no retry will mend.
PATIENCE_SECONDS: Final = 60.0
SWEEP_SECONDS: Final = 600.0
TELL_SECONDS: Final = 30.0
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
    """Share it through `open_outbox`; its threads end when nobody holds it any more.

    What is appended later is sent all the same, by a thread that ends thereafter.
    """

    def __init__(self, directory: Path) -> None:
        self.journal = Journal(directory)
        self.damage: list[Damage] = []
        # A hold that is dropped without a close is no hold.
        self.holds: weakref.WeakSet[Hold] = weakref.WeakSet()
        self._owed: dict[Place, Entry] = {}
        self._work: dict[Task, Work] = {}
        self._observers: dict[str, Callable[[Entry], None]] = {}
        self._not_before: dict[Task, float] = {}
        self._chores: dict[str, _Chore] = {}
        self.every(SWEEP_SECONDS, "sweeping the journal", self.journal.sweep)
        self.every(TELL_SECONDS, "telling what is owed", lambda: outages.tell_owed(self.counts()))
        self._shared: dict[str, Any] = {}
        self._breakers: list[Breaker] = []
        self._closers: dict[str, Callable[[], object]] = {}
        self._trouble = ""
        self._sender = Worker("outbox", self._round, GATHER_SECONDS)
        self._syncer = Worker("journal sync", self._sync, SYNC_SECONDS)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        # The parent may have been in the middle of reading: what it met is read again.
        self._tail = self.journal.tail()
        self._reading = threading.RLock()
        self._progress = threading.Condition()

    def register(self, kind: str, reader: int, work: Work) -> None:
        """Say what brings entries of a kind to a reader of the journal."""
        self._work[kind, reader] = work

    def observe(self, kind: str, observer: Callable[[Entry], None]) -> None:
        """Show entries of a kind to somebody, each once, also those of other processes."""
        with self._reading:
            if kind not in self._observers:
                # What was met before is met again.
                self._tail = self.journal.tail()
            self._observers[kind] = observer

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what all stores over this outbox have in common, made once."""
        with self._reading:
            if name not in self._shared:
                self._shared[name] = make()
            return self._shared[name]

    def at_close(self, name: str, action: Callable[[], object]) -> None:
        self._closers[name] = action

    def send_through(self, breaker: Breaker) -> None:
        """Have a server probed while it is down, and what it is owed sent when it is back."""
        with self._reading:
            if breaker not in self._breakers:
                self._breakers.append(breaker)
                breaker.acquire(self.retry)

    def every(self, seconds: float, name: str, chore: Callable[[], object]) -> None:
        """Do something soon and then again and again, in the background."""
        self._chores[name] = _Chore(chore, seconds)

    def append(self, kind: str, body: Any, *, marks: Marks = OWED, sync: bool = True) -> Entry:
        """Return when the entry is safe; its work is done soon afterwards."""
        entry = self.journal.append(kind, body, marks=marks, sync=sync)
        self._owed[entry.place] = entry
        self.wake()
        if not sync:
            self._syncer.wake()
        return entry

    def wake(self) -> None:
        """Have the owed work done now."""
        self._sender.wake()

    def retry(self) -> None:
        """Try again at once what failed a moment ago."""
        self._not_before.clear()
        self.wake()

    def owed(self, kind: str, reader: int) -> list[Entry]:
        """Return what this host still owes to a reader, oldest first."""
        self.look()
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
            self.look()
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
        self.look()
        kinds = {kind for kind, _ in list(self._work)}
        pending = {kind: self._pending(kind, 0) for kind in sorted(kinds)}
        return {kind: (len(own), own[0].age) for kind, own in pending.items() if own}

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Do what can be done before the timeout; the rest stays owed."""
        for action in self._closers.values():
            action()
        with self._reading:
            breakers, self._breakers = self._breakers, []
        for breaker in breakers:
            breaker.release(self.retry)
        self._syncer.end(0.0)
        self._sender.end(timeout)
        self.journal.close()

    def _round(self) -> float | None:
        try:
            is_done = self.drain()
            if self.holds:
                self._keep_house()
        except Unavailable as exc:
            self._report(str(exc))
            is_done = True
        else:
            self._report("")
        if self.holds:
            return LOOK_SECONDS if is_done else TURN_SECONDS
        if _forget(self):
            self.close()
        return None

    def _report(self, trouble: str) -> None:
        """Tell once of trouble with the disk below the journal."""
        if trouble and trouble != self._trouble:
            logger.error("What is owed cannot be sent: %s", trouble)
        self._trouble = trouble

    def _sync(self) -> float | None:
        self.journal.flush()
        return SWEEP_SECONDS if self.holds else None

    def _keep_house(self) -> None:
        self.journal.prepare()
        for name, chore in list(self._chores.items()):
            if chore.due <= time.monotonic() and self.holds:
                chore.due = time.monotonic() + chore.seconds
                try:
                    chore.call()
                except Unavailable as exc:
                    logger.debug("%s: %s", name, exc)
                except Exception:  # a person has to look at it; the other chores go on
                    chore.due = time.monotonic() + PATIENCE_SECONDS
                    logger.exception("%s failed", name)

    def look(self) -> None:
        """Meet what this and other processes have appended since the last look."""
        # Whoever looks at the same time waits, so that nobody goes on before all is noted.
        with self._reading:
            entries, damage = self._tail.read()
            self.damage += damage
            self._keep(entries)
            for entry in entries:
                observer = self._observers.get(entry.kind)
                if observer is not None:
                    observer(entry)

    def _pending(self, kind: str, reader: int) -> list[Entry]:
        own = [entry for entry in list(self._owed.values()) if entry.kind == kind]
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


class Hold:
    """What keeps an outbox going; for its owner to close, or to drop."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        outbox.holds.add(self)

    def close(self) -> None:
        """Give the outbox back; the last one to do so ends its threads."""
        self.outbox.holds.discard(self)
        if not self.outbox.holds and _forget(self.outbox):
            self.outbox.close()


_outboxes: dict[Path, Outbox] = {}
_opening = threading.Lock()


def open_outbox(directory: Path) -> Hold:
    """Return a hold on the outbox of a directory in this process."""
    path = directory.absolute()
    with _opening:
        outbox = _outboxes.get(path)
        if outbox is None:
            outbox = _outboxes[path] = Outbox(path)
            outages.watch(path)
        return Hold(outbox)


def _forget(outbox: Outbox) -> bool:
    """Have the next `open_outbox` begin another; False if somebody was faster or holds it."""
    path = outbox.journal.directory
    with _opening:
        if outbox.holds or _outboxes.get(path) is not outbox:
            return False
        del _outboxes[path]
        outages.unwatch(path)
        return True


def close_all(timeout: float = CLOSE_SECONDS) -> None:
    """Close the outboxes of this process, whoever holds them."""
    with _opening:
        open_now = list(_outboxes.values())
        for path in _outboxes:
            outages.unwatch(path)
        _outboxes.clear()
    deadline = time.monotonic() + timeout
    for outbox in open_now:
        outbox.holds.clear()
        outbox.close(max(deadline - time.monotonic(), 0.0))


# A program that ends without closing its stores still sends what it can within a second.
atexit.register(close_all)


def _begin_anew_in_child() -> None:
    global _opening
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
