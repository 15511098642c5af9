"""Figures as text: money to the cent, prices to the tick, thousands separated by commas."""

from __future__ import annotations

from decimal import Decimal

from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _

MISSING = "–"

Number = Decimal | float | int | None


def money(value: Number) -> str:
    return MISSING if value is None else f"{value:,.2f}"


def price(value: Number) -> str:
    """Two decimals as shares have, three where a fund or bond needs them."""
    if value is None:
        return MISSING
    text = f"{value:,.3f}"
    return text[:-1] if text.endswith("0") else text


def signed(value: Number) -> str:
    return MISSING if value is None else f"{value:+,.2f}"


def percent(value: Number) -> str:
    """Show a share of one, such as 0.0123, as +1.23%."""
    return MISSING if value is None else f"{value:+.2%}"


def share(value: Number) -> str:
    """Show a part of one, such as 0.4567, as 45.7%."""
    return MISSING if value is None else f"{value:.1%}"


def whole(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def duration(seconds: float) -> str:
    """Show a length of time in its two largest units, such as 3 h 5 min."""
    whole_seconds = max(int(seconds), 0)
    minutes, hours, days = whole_seconds // 60, whole_seconds // 3600, whole_seconds // 86400
    if days:
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    if minutes:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(seconds)d s") % {"seconds": whole_seconds}


def tone(value: Number) -> str:
    if not value:
        return ""
    return "sq-rise" if value > 0 else "sq-fall"


def ratio(part: Number, whole: Number) -> float | None:
    """Return part / whole, None when either is unknown or the whole is zero."""
    return None if part is None or not whole else float(part) / float(whole)


def badge(text: str | Promise, tone: str = "") -> str:
    """Return a small label; tones are good, warn, bad, info, rise, fall or none."""
    return format_html('<span class="sq-badge" data-tone="{}">{}</span>', tone, text)
