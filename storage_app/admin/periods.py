"""The spans of time that a list offers at one click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from trades_app.market import clock

PERIOD = "period"
ALL = "all"
PERIODS: Mapping[str, Promise] = {
    "today": _("Today"),
    "week": _("7 days"),
    "month": _("This month"),
    "year": _("This year"),
    ALL: _("All"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One period as a link; the rest of the query stays as it is."""

    label: Promise
    query: str
    is_chosen: bool


def bounds(period: str) -> tuple[str, str]:
    """Return the first and last day of a period as ISO dates, empty where it has no bound."""
    today = clock.today()
    first = {
        "today": today,
        "week": today - timedelta(days=6),
        "month": today.replace(day=1),
        "year": today.replace(month=1, day=1),
    }.get(period)
    return (first.isoformat(), today.isoformat()) if first else ("", "")


def choices(asked: QueryDict, since: date | None, until: date | None) -> Sequence[Choice]:
    """Return the periods, the one between two given days chosen."""
    shown = tuple(day.isoformat() if day else "" for day in (since, until))
    return [
        Choice(label, _query(asked, period), bounds(period) == shown)
        for period, label in PERIODS.items()
    ]


def _query(asked: QueryDict, period: str) -> str:
    kept = asked.copy()
    for name in ("since", "until", "after", "p"):
        kept.pop(name, None)
    kept[PERIOD] = period
    return f"?{kept.urlencode()}"
