"""A breaker per server and process: an outage costs one timeout, then nothing.

The first call that finds a server unavailable opens the breaker; later ones are refused at once,
until a probe in the background, one a second, finds the server well again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, ParamSpec, TypeVar

from storage_app.contract.errors import Unavailable
from trades_app.market import clock

logger = logging.getLogger(__name__)

PROBE_SECONDS: Final = 1.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What is known of a server: `since` and `reason` of its outage, calls refused meanwhile."""

    name: str
    is_open: bool
    since: datetime | None = None
    reason: str = ""
    refused: int = 0


class Breaker:
    """Stand before one server; threads of a process share it."""

    def __init__(self, name: str, ping: Callable[[], None]) -> None:
        self.name = name
        self.ping = ping
        self._lock = threading.Lock()
        self._users = 0
        self._refused = 0
        self._outage: _Outage | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        return self._outage is not None

    def state(self) -> BreakerState:
        outage = self._outage
        if outage is None:
            return BreakerState(self.name, is_open=False)
        return BreakerState(
            self.name, is_open=True, since=outage.since, reason=outage.reason, refused=self._refused
        )

    def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what the function returns; Unavailable at once during an outage."""
        self.check()
        try:
            return function(*args, **kwargs)
        except Unavailable as exc:
            self.trip(exc.reason or str(exc))
            raise

    def check(self) -> None:
        outage = self._outage
        if outage is not None:
            self._refused += 1
            raise Unavailable(self.name, f"down since {outage.since:%H:%M:%S}: {outage.reason}")

    def trip(self, reason: str) -> None:
        """Open the breaker; an outage is announced once."""
        with self._lock:
            if self._outage is not None:
                return
            self._refused = 0
            self._outage = _Outage(clock.now(), time.monotonic(), reason)
        logger.warning("%s is down: %s", self.name, reason)
        _probes.start()

    def probe(self) -> None:
        """Ask the server whether it is back."""
        try:
            self.ping()
        except Unavailable as exc:
            logger.debug("%s is still down: %s", self.name, exc.reason)
        else:
            self._restore()

    def acquire(self, on_recovery: Callable[[], None] | None = None) -> None:
        """Keep probing while somebody uses the server; `on_recovery` runs when it is back."""
        with self._lock:
            self._users += 1
            if on_recovery is not None:
                self._listeners.append(on_recovery)
        if self.is_open:
            _probes.start()

    def release(self, on_recovery: Callable[[], None] | None = None) -> None:
        with self._lock:
            self._users = max(self._users - 1, 0)
            if on_recovery in self._listeners:
                self._listeners.remove(on_recovery)
            if not self._users:
                # Nobody probes any more, so whoever comes next finds out anew.
                self._outage = None

    @property
    def is_probed(self) -> bool:
        return self._outage is not None and self._users > 0

    def forget(self) -> None:
        self._outage = None

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def _restore(self) -> None:
        with self._lock:
            outage, self._outage = self._outage, None
            listeners = list(self._listeners)
        if outage is not None:
            seconds = time.monotonic() - outage.started
            logger.info(
                "%s is back after %.1f s; %d calls were refused meanwhile",
                self.name,
                seconds,
                self._refused,
            )
            for listener in listeners:
                listener()


@dataclass(frozen=True, slots=True)
class _Outage:
    since: datetime
    started: float
    reason: str


class _Probes:
    """One daemon thread that probes while a breaker is open and its server wanted."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self.lock:
            # A thread does not survive a fork; in the child it counts as ended.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="probes", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(PROBE_SECONDS)
            with self.lock:
                wanted = [breaker for breaker in _breakers.values() if breaker.is_probed]
                if not wanted:
                    self._thread = None
                    return
            for breaker in wanted:
                try:
                    breaker.probe()
                except Exception:  # one probe must not end the others'
                    logger.exception("The probe of %s failed", breaker.name)


_probes = _Probes()
_breakers: dict[str, Breaker] = {}


def breaker_for(name: str, ping: Callable[[], None]) -> Breaker:
    """Return the breaker of a server in this process."""
    breaker = _breakers.setdefault(name, Breaker(name, ping))
    breaker.ping = ping
    return breaker


def states() -> Mapping[str, BreakerState]:
    return {name: breaker.state() for name, breaker in _breakers.items()}


def forget_all() -> None:
    """Believe every server to be well until it proves otherwise."""
    for breaker in list(_breakers.values()):
        breaker.forget()


def _begin_anew_in_child() -> None:
    _probes.lock = threading.Lock()
    for breaker in _breakers.values():
        breaker.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
