"""How numbers look: thousands separated, a rise and a fall told apart by colour."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django import template

from storage_app.admin import figures, numbers

if TYPE_CHECKING:
    from storage_app.models import Account
    from storage_app.services.access import Visitor

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
def share(value: float | None) -> str:
    """Show a part of one without a sign, such as 0.4567 as 45.7%."""
    return figures.share(value)


@register.filter
def number_for(number: str, user: Visitor) -> str:
    """Return an account number, masked for who may not see it whole."""
    return numbers.shown_to(user, number)


@register.filter
def title_for(account: Account, user: Visitor) -> str:
    return numbers.title(user, account)


@register.filter
def whole(value: int | None) -> str:
    return figures.whole(value)


@register.filter
def tone(value: Decimal | float | None) -> str:
    """Return the CSS class of a rise or a fall; empty for neither."""
    return figures.tone(value)
