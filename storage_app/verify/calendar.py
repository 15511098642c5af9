"""The calendar of trading days: whether it can be read, and for how long it reaches."""

from __future__ import annotations

from collections.abc import Iterator

from storage_app.services.trading_calendar import LEAST_DAYS
from storage_app.verify.differences import Difference, Kind, Problem, Side
from storage_app.verify.scope import Examination
from trades_app.market import calendar, clock


def compare(exam: Examination) -> Iterator[Difference]:
    path = exam.scope.data_dir / "calendar.csv"
    right = Side("today", clock.today())
    try:
        left, until = calendar.days_left(clock.today()), calendar.known_until()
    except calendar.InvalidCalendar as exc:
        yield Difference(
            Kind.CALENDAR, Problem.DAMAGED, path.name, "", Side(str(path), str(exc)), right
        )
        return
    exam.counts["calendar days left"] += left
    if left < LEAST_DAYS:
        side = Side("calendar", until)
        yield Difference(Kind.CALENDAR, Problem.OUTDATED, "calendar", "known until", side, right)
