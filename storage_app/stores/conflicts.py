"""Trades that contradict the ledger become rows that a person resolves."""

from __future__ import annotations

from storage_app.contract.rules import trader_name
from storage_app.contract.types import Trade
from storage_app.models import TradeConflict
from storage_app.stores import trade_rows
from storage_app.stores.orm import translating


def record_conflict(trade: Trade, reason: str) -> None:
    """Store it once, however often it is found."""
    offered = trade_rows.as_dict(trade)
    offered["timestamp"] = trade.traded_at.isoformat()
    offered["trade_date"] = trade.trade_date.isoformat()
    offered["price"], offered["amount"] = str(trade.price), str(trade.amount)
    with translating():
        TradeConflict.objects.get_or_create(
            trade_uid=trade.trade_uid,
            reason=reason[:500],
            defaults={
                "account_id": trade.account_id,
                "trade_date": trade.trade_date,
                "code": trade.code,
                "offered": offered,
                "origin": trader_name(),
            },
        )
