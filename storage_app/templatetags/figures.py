"""How numbers look: thousands separated, a rise and a fall told apart by colour."""

from __future__ import annotations

from decimal import Decimal

from django import template

from storage_app.admin import figures

register = template.Library()


@register.filter
def money(value: Decimal | float | None) -> str:
    return figures.money(value)


@register.filter
def price(value: Decimal | float | None) -> str:
    return figures.price(value)


@register.filter
def signed(value: Decimal | float | None) -> str:
    return figures.signed(value)


@register.filter
def percent(value: Decimal | float | None) -> str:
    return figures.percent(value)


@register.filter
def whole(value: int | None) -> str:
    return figures.whole(value)


@register.filter
def tone(value: Decimal | float | None) -> str:
    """Return the CSS class of a rise or a fall; empty for neither."""
    return figures.tone(value)
