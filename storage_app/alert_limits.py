"""How often people are told the same thing, kept in a file that all processes of a host share.

When the file cannot be had, each process counts for itself: a message too many is better than
none.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 600.0
REMIND_SECONDS: Final = 6 * 3600.0
_KEPT_SECONDS: Final = 7 * 86400.0
_LOCK_SECONDS: Final = 2.0


class Kind(Enum):
    EVENT = 1
    STANDING = 2
    RECOVERY = 3


@dataclass(slots=True)
class Told:
    """What people know of a key, by unix times.

    `sent`: of the last message; `at`: of what it told; `back`: of the last recovery.
    """

    sent: float = 0.0
    at: float = 0.0
    back: float = 0.0
    held_back: int = 0
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Send it now, come back at `until`, or forget it; `before` undoes the claim."""

    may_go: bool = False
    until: float = 0.0
    held_back: int = 0
    before: Told | None = None


class Limits:
    """Ask before each message: the claim counts as sent until it is given back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: dict[str, Told] = {}

    def claim(self, kind: Kind, key: str, at: float, *, is_deferred: bool) -> Verdict:
        """Decide on a message about what happened `at` a unix time."""
        with self._sharing() as known:
            if kind is Kind.RECOVERY:
                return _claim_recovery(known.get(key, Told()), at)
            told = known.setdefault(key, Told())
            return _claim(told, kind, at, is_deferred=is_deferred)

    def give_back(self, key: str, verdict: Verdict) -> None:
        """Forget a claim whose message reached nobody."""
        if verdict.before is not None:
            with self._sharing() as known:
                known[key] = verdict.before

    @contextmanager
    def _sharing(self) -> Iterator[dict[str, Told]]:
        """Yield what is known under the lock of the host, or what this process knows."""
        lock = FileLock(self._path.with_suffix(".lock"), _LOCK_SECONDS)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, Timeout) as exc:
            logger.debug("%s cannot be locked: %s", self._path, exc)
            yield self._own
            return
        try:
            self._own = self._read()
            before = deepcopy(self._own)
            yield self._own
            if self._own != before:
                self._write()
        finally:
            lock.release()

    def _read(self) -> dict[str, Told]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            return {key: Told(**row) for key, row in rows.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as exc:
            logger.debug("%s cannot be read: %s", self._path, exc)
            return self._own

    def _write(self) -> None:
        oldest = time.time() - _KEPT_SECONDS
        rows = {key: asdict(told) for key, told in self._own.items() if _last(told) > oldest}
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(rows), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as exc:
            logger.debug("%s cannot be written: %s", self._path, exc)


def _last(told: Told) -> float:
    return max(told.sent, told.back)


def _claim_recovery(told: Told, at: float) -> Verdict:
    before = replace(told)
    if told.stands or told.held_back:
        told.back, told.stands = max(told.back, at), False
    return Verdict(may_go=before.stands, before=before)


def _claim(told: Told, kind: Kind, at: float, *, is_deferred: bool) -> Verdict:
    now = time.time()
    if at <= told.back or (is_deferred and at <= told.at):
        return Verdict()  # it is over, or another process has told of it meanwhile
    if kind is Kind.STANDING and told.stands and now - told.sent < REMIND_SECONDS:
        return Verdict()
    if now - told.sent < QUIET_SECONDS:
        told.held_back += not is_deferred
        return Verdict(until=told.sent + QUIET_SECONDS)
    before = replace(told)
    held_back = max(told.held_back - is_deferred, 0)
    told.sent, told.at, told.held_back, told.stands = now, at, 0, True
    return Verdict(may_go=True, held_back=held_back, before=before)
