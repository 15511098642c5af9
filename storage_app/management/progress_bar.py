"""Steps of a long job on a terminal as a bar, elsewhere as plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import OutputWrapper
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from storage_app.contract.watching import Progress

Report = Callable[[Progress], None]

# Plain lines: every tenth of a step unless that is over in a moment, and of a step without an
# end one in so many seconds.
_TENTHS = 10
_MOMENT = 2.0
_SECONDS = 10.0


@contextmanager
def showing(out: OutputWrapper, *, is_terminal: bool, quiet: bool) -> Iterator[Report]:
    """Yield what reports progress: a bar with rate and remaining time, or lines."""
    if quiet:
        yield lambda progress: None
    elif is_terminal:
        with _bars() as bars:
            yield _Bar(bars)
    else:
        yield _Lines(out)


def _bars() -> Bars:
    return Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._step: str | None = None
        self._task = bars.add_task("", total=None)

    def __call__(self, progress: Progress) -> None:
        if progress.step != self._step:
            self._bars.reset(self._task)
            self._step = progress.step
        self._bars.update(
            self._task,
            description=f"{progress.step} ({progress.unit})" if progress.unit else progress.step,
            completed=progress.done,
            total=progress.total,
        )


class _Lines:
    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._step: str | None = None
        self._tenth = 0
        self._since = 0.0
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.step != self._step:
            self._step, self._tenth = progress.step, 0
            self._since = self._last = now
        if self._is_due(progress, now):
            self._last = now
            self._out.write(_line(progress, now - self._since))

    def _is_due(self, progress: Progress, now: float) -> bool:
        if not progress.total:
            return now - self._last >= _SECONDS
        tenth = progress.done * _TENTHS // progress.total
        if tenth <= self._tenth or now - self._last < _MOMENT:
            return False
        self._tenth = tenth
        return True


def _line(progress: Progress, seconds: float) -> str:
    known = {
        "step": progress.step,
        "done": f"{progress.done:,}",
        "total": f"{progress.total:,}" if progress.total else "?",
        "unit": progress.unit,
        "rate": f"{progress.done / seconds:,.0f}" if seconds > 0 else "?",
    }
    return _("%(step)s: %(done)s of %(total)s %(unit)s, %(rate)s a second") % known
