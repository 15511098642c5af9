"""Trades that contradict the ledger become rows that a person resolves."""

from __future__ import annotations

from storage_app.contract import trade_documents
from storage_app.contract.rules import trader_name
from storage_app.contract.types import Trade
from storage_app.models import TradeConflict
from storage_app.stores.orm import translating


def record_conflict(trade: Trade, reason: str) -> None:
    """Store it once, however often it is found, and never again once it is decided."""
    with translating():
        TradeConflict.objects.get_or_create(
            trade_uid=trade.trade_uid,
            offered_digest=trade_documents.digest(trade),
            defaults={
                "account_id": trade.account_id,
                "trade_date": trade.trade_date,
                "code": trade.code,
                "offered": trade_documents.to_document(trade),
                "reason": reason[:500],
                "origin": trader_name(),
            },
        )
