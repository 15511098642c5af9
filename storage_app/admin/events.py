"""What the log files of this host tell: slow operations, warnings and errors.

The files rotate, so that what is read here is bounded; a page reads the end of each file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from storage_app.admin import facts, numbers
from storage_app.admin.keyset import ListForm
from storage_app.admin.sources import signed_in
from storage_app.models import User

# Of each file, and how much of what is found is shown.
TAIL_BYTES: Final = 300_000
EVENTS_SHOWN: Final = 200
DETAIL_LINES: Final = 40
OPERATIONS_SHOWN: Final = 12

SLOW, WARNING, ERROR = "slow", "warning", "error"
KINDS: Mapping[str, Promise] = {
    SLOW: _("Slow operations"),
    WARNING: _("Warnings"),
    ERROR: _("Errors"),
}
WORDS: Mapping[str, Promise] = {SLOW: _("slow"), WARNING: _("warning"), ERROR: _("error")}
TONES = {SLOW: "info", WARNING: "warn", ERROR: "bad"}
_LEVELS = {"WARNING": WARNING, "ERROR": ERROR, "CRITICAL": ERROR}
_SLOW_LOGGER: Final = "storage_app.stores.slow"
# As `log_files.FORMAT` writes it.
_LINE: Final = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<process>\d+) (?P<level>[A-Z]+) "
    r"(?P<logger>[\w.]+): (?P<text>.*)"
)
_TOOK: Final = re.compile(r"(?P<operation>\S+)(?P<subject>.*) took (?P<ms>[\d.]+) ms")


@dataclass(slots=True)
class Event:
    """One record of a log; `details` are the lines below it, of a traceback for example."""

    at: str
    program: str
    kind: str
    logger: str
    text: str
    details: list[str] = field(default_factory=list)

    @property
    def tone(self) -> str:
        return TONES[self.kind]

    @property
    def word(self) -> Promise:
        return WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class Operation:
    """The slow calls of one operation: how many, and how long they took in milliseconds."""

    name: str
    count: int
    median: float
    longest: float


class EventFilter(ListForm):
    kind = forms.ChoiceField(
        label=_("Kind"), required=False, choices=[("", _("All")), *KINDS.items()]
    )
    program = forms.ChoiceField(label=_("Program"), required=False)
    text = forms.CharField(label=_("Text"), required=False, max_length=100)

    def __init__(self, user: User, asked: QueryDict, programs: Iterable[str]) -> None:
        super().__init__(user, asked)
        named = [(name, name) for name in programs]
        self.fields["program"].choices = [("", _("All")), *named]  # type: ignore[attr-defined]

    def admits(self, event: Event) -> bool:
        asked = self.cleaned_data
        return (
            asked["kind"] in ("", event.kind)
            and asked["program"] in ("", event.program)
            and asked["text"].lower() in f"{event.logger} {event.text}".lower()
        )


def may_see(request: HttpRequest) -> bool:
    """Tell whether somebody may read logs, which name all accounts by their whole number."""
    user = signed_in(request)
    return (
        user.has_perm("storage_app.view_report")
        and numbers.sees_numbers(user)
        and facts.scope_of(user) is None
    )


def events_page(request: HttpRequest, context: Mapping[str, Any]) -> HttpResponse:
    if not may_see(request):
        raise PermissionDenied
    found = read_events(settings.DATA_DIR / "log")
    form = EventFilter(signed_in(request), request.GET, sorted({one.program for one in found}))
    shown = [one for one in found if form.admits(one)] if form.is_valid() else []
    return TemplateResponse(
        request,
        "storage_app/events.html",
        {
            **context,
            "title": _("Events"),
            "form": form,
            "events": shown[:EVENTS_SHOWN],
            "left_out": max(len(shown) - EVENTS_SHOWN, 0),
            "operations": slowest(shown)[:OPERATIONS_SHOWN],
            "is_filtered": form.is_asked,
        },
    )


def read_events(directory: Path) -> list[Event]:
    """Return what the ends of all log files tell, newest first."""
    found = [event for path in sorted(directory.glob("*.log")) for event in _events_of(path)]
    # Turned round as a whole, so that of one millisecond the later line comes first as well.
    return sorted(found, key=lambda event: event.at)[::-1]


def slowest(events: Iterable[Event]) -> list[Operation]:
    """Return the slow operations, the one that cost most time in all first."""
    took: dict[str, list[float]] = {}
    for event in events:
        match = _TOOK.fullmatch(event.text) if event.kind == SLOW else None
        if match:
            took.setdefault(match["operation"], []).append(float(match["ms"]))
    by_cost = sorted(took.items(), key=lambda item: -sum(item[1]))
    return [Operation(name, len(ms), median(ms), max(ms)) for name, ms in by_cost]


def _events_of(path: Path) -> Iterator[Event]:
    event: Event | None = None
    for line in _tail(path):
        match = _LINE.fullmatch(line)
        if match is None:
            if event is not None and len(event.details) < DETAIL_LINES:
                event.details.append(line)
            continue
        if event is not None:
            yield event
        event = _event(path, match)
    if event is not None:
        yield event


def _event(path: Path, match: re.Match[str]) -> Event | None:
    kind = SLOW if match["logger"] == _SLOW_LOGGER else _LEVELS.get(match["level"], "")
    if not kind:
        return None
    at = match["at"].replace(",", ".")
    return Event(at, path.stem, kind, match["logger"], match["text"])


def _tail(path: Path) -> Sequence[str]:
    """Return the last whole lines of a file; none of one that cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - TAIL_BYTES, 0))
            lines = file.read(TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return lines[1:] if size > TAIL_BYTES else lines
