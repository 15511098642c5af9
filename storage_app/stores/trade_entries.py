"""Trades as entries of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from storage_app.contract.types import OrderType, PriceType, Trade
from storage_app.stores.journal import Entry
from storage_app.stores.trade_rows import FIELDS
from trades_app.market import clock

KIND: Final = "trades"
CONFLICT: Final = "trade conflict"
# A full entry stays within a segment of the usual size.
LARGEST: Final = 1000

_READ: Final[dict[str, Any]] = {
    "traded_at": lambda text: clock.in_shanghai(datetime.fromisoformat(text)),
    "trade_date": date.fromisoformat,
    "order_type": OrderType,
    "price_type": PriceType,
    "price": Decimal,
}


def to_body(trade: Trade) -> list[str | int]:
    """Return the fields in their order, as text or whole numbers."""
    values = (getattr(trade, name) for name in FIELDS)
    return [
        value.isoformat()
        if isinstance(value, date)
        else value
        if type(value) is int
        else str(value)
        for value in values
    ]


def to_trade(body: Iterable[Any]) -> Trade:
    fields = dict(zip(FIELDS, body, strict=True))
    for name, read in _READ.items():
        fields[name] = read(fields[name])
    return Trade(**fields)


def trades_of(entry: Entry) -> list[Trade]:
    return [to_trade(body) for body in entry.body]
