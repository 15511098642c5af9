"""A trade as a JSON document, and back without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from storage_app.contract.types import OrderType, PriceType, Trade
from trades_app.market import clock

TRADE_FIELDS: Final = tuple(field.name for field in fields(Trade))
# Where a row came from is not part of what happened.
_SAYS_WHAT_HAPPENED: Final = tuple(
    name for name in TRADE_FIELDS if name not in ("trade_uid", "source")
)
_READ: Final[Mapping[str, Any]] = {
    "traded_at": lambda text: clock.in_shanghai(datetime.fromisoformat(text)),
    "trade_date": date.fromisoformat,
    "order_type": OrderType,
    "price_type": PriceType,
    "price": Decimal,
}


def to_document(trade: Trade) -> dict[str, str | int]:
    """Return the fields by name, all but whole numbers as text, the price to 0.001."""
    return {name: _plain(getattr(trade, name)) for name in TRADE_FIELDS}


def from_document(document: Mapping[str, Any]) -> Trade:
    values = {name: document[name] for name in TRADE_FIELDS}
    for name, read in _READ.items():
        values[name] = read(values[name])
    return Trade(**values)


def differing_fields(one: Trade, other: Trade) -> list[str]:
    """Return the names of what the two tell differently of the same event."""
    return [name for name in _SAYS_WHAT_HAPPENED if getattr(one, name) != getattr(other, name)]


def digest(trade: Trade) -> str:
    """Return 32 hexadecimal digits that stand for the event as this row tells it."""
    document = to_document(trade)
    told = {name: document[name] for name in _SAYS_WHAT_HAPPENED}
    text = json.dumps(told, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> str | int:
    match value:
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:.3f}"
        case int():
            return value
        case _:
            return str(value)
