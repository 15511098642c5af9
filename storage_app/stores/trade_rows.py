"""What every ledger backend decides the same way: equal, new, or a conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from storage_app.contract.arguments import PRICE_STEP
from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.contract.types import Trade

FIELDS = tuple(field.name for field in fields(Trade))
# Where a row came from is not part of what happened.
COMPARED = tuple(name for name in FIELDS if name not in ("trade_uid", "source"))


def select_new(trades: Sequence[Trade], stored: Mapping[str, Trade]) -> list[Trade]:
    """Return the trades that are not stored yet; Conflict for one that differs from its uid."""
    known = dict(stored)
    new = []
    for trade in trades:
        before = known.get(trade.trade_uid)
        if before is None:
            known[trade.trade_uid] = trade
            new.append(trade)
        else:
            _refuse_difference(before, trade)
    return new


def normalised(trade: Trade) -> Trade:
    """Return the trade as every backend keeps it, its time cut to milliseconds."""
    if trade.price != trade.price.quantize(PRICE_STEP):
        raise InvalidInput(f"trade {trade.trade_uid}: price {trade.price} is finer than 0.001")
    surplus = trade.traded_at.microsecond % 1000
    return replace(trade, traded_at=_cut(trade.traded_at, surplus)) if surplus else trade


def as_dict(trade: Trade) -> dict[str, Any]:
    """Return the row as `query_trades` shows it."""
    row = {name: getattr(trade, name) for name in FIELDS}
    row["timestamp"] = row.pop("traded_at")
    row["order_type"] = trade.order_type.value
    row["price_type"] = trade.price_type.value
    row["price"] = float(trade.price)
    row["amount"] = float(trade.amount)
    return row


def _cut(moment: datetime, surplus: int) -> datetime:
    return moment.replace(microsecond=moment.microsecond - surplus)


def _refuse_difference(before: Trade, now: Trade) -> None:
    for name in COMPARED:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            raise Conflict(
                f"trade {now.trade_uid} is already recorded with {name} {old!s}, not {new!s}"
            )
