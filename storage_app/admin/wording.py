"""Words and colours of orders and fills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from storage_app.admin import facts
from storage_app.contract.types import OrderType, PriceType
from trades_app.market import sources
from trades_app.models import Trade

KINDS: Mapping[str, Promise] = {
    OrderType.BUY_ORDER.value: _("Buy order"),
    OrderType.SELL_ORDER.value: _("Sell order"),
    OrderType.BUY_TRADE.value: _("Buy fill"),
    OrderType.SELL_TRADE.value: _("Sell fill"),
    OrderType.CANCEL.value: _("Cancel"),
}
# Beside a fill that nobody recorded: its order was taken for it.
ASSUMED = _("assumed")
PRICE_KINDS: Mapping[str, Promise] = {
    PriceType.UNKNOWN.value: _("unknown"),
    PriceType.LIMIT.value: _("Limit price"),
    PriceType.MARKET.value: _("Market price"),
}
TONES = {
    OrderType.BUY_ORDER.value: "info",
    OrderType.SELL_ORDER.value: "info",
    OrderType.BUY_TRADE.value: "rise",
    OrderType.SELL_TRADE.value: "fall",
}


def describe_trades(trades: Iterable[Trade]) -> list[dict[str, Any]]:
    """Return rows for the table of trades: the row, its kind in words, its colour, its worth."""
    return [
        {
            "row": one,
            "kind": KINDS[one.order_type],
            "tone": TONES.get(one.order_type, ""),
            "is_assumed": one.source == sources.ASSUMED,
        }
        for one in trades
    ]


def describe_totals(totals: facts.Totals) -> list[dict[str, Any]]:
    """Return the totals by kind, each with its kind in words and its colour."""
    return [
        {"total": one, "kind": KINDS[one.order_type], "tone": TONES.get(one.order_type, "")}
        for one in totals.kinds
    ]
