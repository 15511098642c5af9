"""Watching clients whose statements run, to stop what nobody waits for any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chdb_server.channel import Channel

logger = logging.getLogger(__name__)

_PERIOD = 0.2


@dataclass(slots=True)
class _Watched:
    channel: Channel
    tag: str
    # Held while the statement is being stopped, so that it is never the next one.
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: bool = False


class Watch:
    """One thread, asleep while no statement runs.

    The engine is busy inside a statement, so the session's own thread sees a
    cancel packet or a closed connection only between blocks.
    """

    def __init__(self, interrupt: Callable[[str], None]) -> None:
        self._interrupt = interrupt
        self._watched: dict[str, _Watched] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    @contextmanager
    def over(self, channel: Channel, tag: str) -> Iterator[None]:
        """Interrupt the statement of `tag` if its client cancels or leaves meanwhile."""
        watched = _Watched(channel, tag)
        with self._changed:
            self._watched[tag] = watched
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._watched[tag]
            with watched.lock:
                watched.is_over = True

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watched)
            pause.wait(_PERIOD)
            with self._changed:
                running = list(self._watched.values())
            for watched in running:
                self._check(watched)

    def _check(self, watched: _Watched) -> None:
        with watched.lock:
            if watched.is_over or not watched.channel.wants_stop():
                return
            try:
                self._interrupt(watched.tag)
            except Exception:  # this thread has the other clients to watch
                logger.exception("cannot interrupt %s", watched.tag)
