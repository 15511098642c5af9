"""Daemon threads that work when they are woken and end when they are told to."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from django.db import close_old_connections, connections

from storage_app.stores.forking import renew_after_fork

logger = logging.getLogger(__name__)

# Until the next round after one that failed.
FAULT_SECONDS: Final = 1.0

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class Worker:
    """One thread, there only while it is wanted.

    `work` returns the seconds after which it wants to run again, None for not before the next
    `wake()`. A round begins `gather` seconds after it was called for, with all that has come
    until then. The thread's database connections are checked between rounds and closed at its
    end.
    """

    def __init__(self, name: str, work: Callable[[], float | None], gather: float = 0.0) -> None:
        self.name = name
        self._work = work
        self._gather = gather
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._told = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have the work done soon."""
        self._wanted.set()
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._start()

    def end(self, timeout: float) -> bool:
        """Let the thread do one more round; False if it is not over after `timeout` seconds."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._told.set()
            self._wanted.set()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._told = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(self._told,), name=self.name, daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                # Whoever wakes must not fail for it; the next to wake tries again.
                logger.exception("No thread for %s", self.name)
                return
            self._thread = thread
            _threads.add(thread)

    def _run(self, told: threading.Event) -> None:
        pause: float | None = 0.0
        try:
            while not self._is_over(told, pause):
                if not told.is_set():
                    self._wanted.wait(pause)
                    told.wait(self._gather)
                self._wanted.clear()
                is_last = told.is_set()
                pause = self._round()
                if is_last:
                    return
        finally:
            connections.close_all()

    def _is_over(self, told: threading.Event, pause: float | None) -> bool:
        """Tell whether nothing is left to do; whoever wakes from now on starts a new thread."""
        if pause is not None:
            return False
        with self._lock:
            if self._wanted.is_set():
                return False
            if self._told is told:
                self._thread = None
            return True

    def _round(self) -> float | None:
        try:
            pause = self._work()
        except Exception:  # the thread goes on
            logger.exception("A round of %s failed", self.name)
            pause = FAULT_SECONDS
        try:
            close_old_connections()
        except Exception:  # here as well
            logger.exception("The connections of %s cannot be checked", self.name)
        return pause


def wait_for_threads(timeout: float) -> list[str]:
    """Wait until the threads of all workers are over; return the names of those that are not."""
    deadline = time.monotonic() + timeout
    alive = [thread for thread in list(_threads) if thread.is_alive()]
    for thread in alive:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return [thread.name for thread in alive if thread.is_alive()]
