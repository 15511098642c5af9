"""The order log of a strategy's folder becomes rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

from storage_app.contract.errors import Conflict
from storage_app.contract.identity import trade_uid
from storage_app.contract.roles import TradeLedger
from storage_app.contract.types import Trade, WriteCount
from storage_app.imports.results import ImportResult
from storage_app.legacy.orders import LegacyOrder, OrderFile, read_orders
from storage_app.legacy.text import LegacyFileError

KIND = gettext_noop("orders")
SOURCE = "legacy"
_BATCH = 10_000


def import_trades(
    store: TradeLedger, path: Path, account: str, namespace: str, zone: ZoneInfo, *, dry_run: bool
) -> ImportResult:
    """Import one file; the ledger knows accounts only, so a namespace becomes the strategy name.

    A row is identified by what the file says, so that another time zone is a Conflict and not a
    second copy.
    """
    content = read_orders(path, zone)
    trades = [_trade(order, account, namespace) for order in content.orders]
    try:
        count = _count_known(store, trades) if dry_run else _write(store, trades)
    except Conflict as exc:
        reason = f"rows of this file are stored with other content, maybe of another zone: {exc}"
        raise LegacyFileError(path, 0, "", "", reason) from exc
    return _result(path, content, count)


def _trade(order: LegacyOrder, account: str, namespace: str) -> Trade:
    book = f"{account}/{namespace}" if namespace else account
    day = order.written_at.date()
    ident = f"{SOURCE}|{order.content}"
    return Trade(
        trade_uid=trade_uid(book, day, order.code, order.order_type, ident),
        account_id=account,
        traded_at=order.ordered_at,
        trade_date=order.ordered_at.date(),
        code=order.code,
        name=order.name,
        order_type=order.order_type,
        price=order.price,
        volume=order.volume,
        strategy_name=namespace,
        remark=order.remark,
        price_type=order.price_type,
        source=SOURCE,
    )


def _write(store: TradeLedger, trades: Sequence[Trade]) -> WriteCount:
    counts = [
        store.write_trades(trades[start : start + _BATCH])
        for start in range(0, len(trades), _BATCH)
    ]
    return WriteCount(sum(count.new for count in counts), sum(count.same for count in counts))


def _count_known(store: TradeLedger, trades: Sequence[Trade]) -> WriteCount:
    if not trades:
        return WriteCount()
    days = [trade.trade_date for trade in trades]
    stored = store.iter_trades(trades[0].account_id, min(days), max(days))
    known = {row["trade_uid"] for row in stored}
    same = sum(trade.trade_uid in known for trade in trades)
    return WriteCount(len(trades) - same, same)


def _result(path: Path, content: OrderFile, count: WriteCount) -> ImportResult:
    rejects = sorted(content.rejected, key=lambda row: row.line)
    read = len(content.orders) + len(rejects)
    return ImportResult(path, KIND, read, count.new, count.same, rejects, content.note)
