"""How a long job tells where it is, and how it is told to stop.

Every import, export, backup and comparison takes a `Watch` and calls `watch.step(...)` between
two batches. A command shows the steps on a terminal, a scheduled job writes them into its row;
both cancel by making `is_cancelled` answer True. What is done by then stays done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace


class Cancelled(Exception):
    """Somebody asked for the job to stop; it did so between two batches."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a step; a total of None is not known in advance.

    `step` is what a person reads ("daily bars"), already in their language, and so is `unit`.
    """

    step: str
    done: int
    total: int | None = None
    unit: str = ""


def _ignore(progress: Progress) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Watch:
    """Both callables are cheap, or wrapped by `every`: jobs call them for each batch."""

    report: Callable[[Progress], None] = _ignore
    is_cancelled: Callable[[], bool] = _never

    def step(self, step: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Tell how far the job is; Cancelled if it shall not go on."""
        self.report(Progress(step, done, total, unit))
        if self.is_cancelled():
            raise Cancelled(f"cancelled after {done} {unit or step}")

    def every(self, seconds: float) -> Watch:
        """Return a watch that passes on one call in `seconds`, for callables that cost a query.

        The end of a step is always reported.
        """
        return replace(
            self,
            report=_Rarely(self.report, seconds),
            is_cancelled=_Remembered(self.is_cancelled, seconds),
        )


class _Rarely:
    def __init__(self, report: Callable[[Progress], None], seconds: float) -> None:
        self._report = report
        self._seconds = seconds
        self._step: str | None = None
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        is_end = progress.done == progress.total
        if now < self._next and progress.step == self._step and not is_end:
            return
        self._step, self._next = progress.step, now + self._seconds
        self._report(progress)


class _Remembered:
    def __init__(self, ask: Callable[[], bool], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answer = False
        self._next = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._answer and now >= self._next:
            self._answer, self._next = self._ask(), now + self._seconds
        return self._answer


UNWATCHED = Watch()
