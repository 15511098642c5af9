"""Whether the exchanges' holidays are known for long enough."""

from __future__ import annotations

import logging
from typing import Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from storage_app import alerts
from trades_app.market import calendar, clock

logger = logging.getLogger(__name__)

LEAST_DAYS: Final = 30
_KEY: Final = "calendar"


def check_calendar() -> int:
    """Return for how many days trading days are known, and tell people when they run out."""
    left = calendar.days_left(clock.today())
    until = calendar.known_until()
    if left >= LEAST_DAYS:
        alerts.recovered(_KEY, format_lazy(_("Trading days are known until {day}"), day=until))
        return left
    logger.warning("Trading days are known until %s only", until)
    title = format_lazy(_("Trading days are known until {day} only"), day=until)
    alerts.send(_KEY, title, _("Import a newer list of trading days."), standing=True)
    return left
