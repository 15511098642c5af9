"""A breaker per server and process: an outage costs one timeout, then nothing.

The first call that finds a server unavailable opens the breaker; later ones are refused at once,
until a probe in the background, one a second, finds the server well again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, ParamSpec, TypeVar

from storage_app.contract.errors import Unavailable
from storage_app.stores import outages
from storage_app.stores.background import Worker
from storage_app.stores.forking import renew_after_fork
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
        self._users = 0
        self._refused = 0
        self._outage: _Outage | None = None
        self._found_well_at = float("-inf")
        self._listeners: list[Callable[[], None]] = []
        self.after_fork()
        renew_after_fork(self)

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
        asked_at = time.monotonic()
        try:
            return function(*args, **kwargs)
        except Unavailable as exc:
            self.trip(exc.reason or str(exc), asked_at=asked_at)
            raise

    def check(self) -> None:
        outage = self._outage
        if outage is not None:
            self._refused += 1
            raise Unavailable(self.name, f"down since {outage.since:%H:%M:%S}: {outage.reason}")

    def trip(self, reason: str, *, asked_at: float | None = None, log: bool = True) -> None:
        """Open the breaker; an outage is announced once, to the log by `log=False` not at all.

        `asked_at` (monotonic) is when the call began that failed: one that began before the
        server was found well tells of an outage that is over.
        """
        with self._lock:
            # Without users nobody would probe, and so close it.
            if self._outage is not None or not self._users:
                return
            if asked_at is not None and asked_at < self._found_well_at:
                return
            self._refused = 0
            self._outage = _Outage(clock.now(), time.monotonic(), reason)
        if log:
            logger.warning("%s is down: %s", self.name, reason)
        outages.began(self.name, reason)
        _probes.wake()

    def probe(self) -> None:
        """Ask the server whether it is back."""
        try:
            self.ping()
        except Unavailable as exc:
            logger.debug("%s is still down: %s", self.name, exc.reason)
        else:
            self.found_well()

    def found_well(self) -> None:
        """Close the breaker: whoever asked the server just now had an answer."""
        with self._lock:
            self._found_well_at = time.monotonic()
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
            outages.ended(self.name)
            for listener in listeners:
                listener()

    def probe_when_due(self) -> None:
        outage = self._outage
        # Not at once: a server that answers pings and fails calls would cost each a timeout.
        if outage and self._users and time.monotonic() - outage.started >= PROBE_SECONDS:
            self.probe()

    def acquire(self, on_recovery: Callable[[], None] | None = None) -> None:
        """Keep probing while somebody uses the server; `on_recovery` runs when it is back."""
        with self._lock:
            self._users += 1
            if on_recovery is not None:
                self._listeners.append(on_recovery)
        if self.is_open:
            _probes.wake()

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


@dataclass(frozen=True, slots=True)
class _Outage:
    since: datetime
    started: float
    reason: str


def _probe_wanted() -> float | None:
    """Probe the servers that are down and in use; None when there are none left."""
    for breaker in list(_breakers.values()):
        try:
            breaker.probe_when_due()
        except Exception:  # one probe must not end the others'
            logger.exception("The probe of %s failed", breaker.name)
    return PROBE_SECONDS if any(one.is_probed for one in list(_breakers.values())) else None


_probes = Worker("probes", _probe_wanted)
_naming = threading.Lock()
_breakers: dict[str, Breaker] = {}


def breaker_for(name: str, ping: Callable[[], None]) -> Breaker:
    """Return the breaker of a server in this process."""
    with _naming:
        breaker = _breakers.get(name)
        if breaker is None:
            breaker = _breakers[name] = Breaker(name, ping)
    breaker.ping = ping
    return breaker


def states() -> Mapping[str, BreakerState]:
    return {name: breaker.state() for name, breaker in _breakers.items()}


def forget_all() -> None:
    """Believe every server to be well until it proves otherwise."""
    for breaker in list(_breakers.values()):
        breaker.forget()
    _probes.end(0.0)
