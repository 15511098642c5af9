"""Figures as text: money to the cent, prices to the tick, thousands separated by commas."""

from __future__ import annotations

from decimal import Decimal

from django.utils.functional import Promise
from django.utils.html import format_html

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


def whole(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


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
