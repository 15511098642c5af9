"""The order log of a strategy's folder becomes rows of the ledger.

The log holds orders (委托), of which some were never filled. `assume_filled` adds a fill for each
of them, of the price and volume asked for, so that profit can be estimated: such a fill has the
source `assumed`, and every sum that it is part of is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from storage_app.contract.errors import Conflict
from storage_app.contract.identity import trade_uid
from storage_app.contract.roles import TradeLedger
from storage_app.contract.types import OrderType, Trade, WriteCount
from storage_app.imports.options import ImportOptions, note_outside
from storage_app.imports.rejects import RejectLog
from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.orders import (
    BATCH_ROWS,
    LegacyOrder,
    OrderBatch,
    note_rows,
    read_order_batches,
)
from storage_app.legacy.text import LegacyFileError
from trades_app.ledger import ASSUMED

KIND = gettext_noop("orders")
SOURCE = "legacy"
_FILLS = {
    OrderType.BUY_ORDER: OrderType.BUY_TRADE,
    OrderType.SELL_ORDER: OrderType.SELL_TRADE,
}


def import_trades(
    store: TradeLedger, path: Path, namespace: str, options: ImportOptions
) -> ImportResult:
    """Import one file of any size; a namespace becomes the strategy name.

    The ledger knows accounts only. A row is identified by what the file says, so that another
    time zone is a Conflict and not a second copy. LegacyFileError for a file that cannot be
    read; Unavailable passes through, and what is stored by then stays.
    """
    if options.assume_filled:
        _refuse_own_fills(path, options)
    work = _Import(store, path, namespace, options)
    for batch in read_order_batches(path, options.zone, options.batch_size or BATCH_ROWS):
        try:
            work.add(batch)
        except Conflict as exc:
            reason = f"rows are stored with other content, maybe of another zone: {exc}"
            return work.result(refused=str(LegacyFileError(path, 0, "", "", reason)))
    return work.result()


def _refuse_own_fills(path: Path, options: ImportOptions) -> None:
    """Refuse to assume fills for a file that logs fills itself: they would count twice."""
    for batch in read_order_batches(path, options.zone):
        fill = next((order for order in batch.orders if order.order_type.is_fill), None)
        if fill:
            reason = "the file logs fills itself, so that none may be assumed"
            raise LegacyFileError(path, fill.line, "类型", fill.order_type, reason)


class _Import:
    """One file on its way into the ledger, batch by batch."""

    def __init__(
        self, store: TradeLedger, path: Path, namespace: str, options: ImportOptions
    ) -> None:
        self._store = store
        self._path = path
        self._namespace = namespace
        self._options = options
        self._book = f"{options.account_id}/{namespace}" if namespace else options.account_id
        self._rejects = RejectLog(path, options.rejects)
        self._new = self._same = self._skipped = self._odd_times = self._outside = 0

    def add(self, batch: OrderBatch) -> None:
        wanted = [order for order in batch.orders if self._options.covers(order.ordered_at.date())]
        count = self._store_batch([self._trade(order) for order in wanted])
        if self._options.assume_filled:
            self._store_batch([fill for order in wanted for fill in self._fill(order)])
        self._rejects.add(batch.rejected)
        self._new += count.new
        self._same += count.same
        self._outside += len(batch.orders) - len(wanted)
        self._skipped += batch.skipped
        self._odd_times += batch.odd_times
        self._options.watch.step(_(KIND), self._new + self._same, None, _("rows"))

    def result(self, refused: str = "") -> ImportResult:
        read = self._new + self._same + self._rejects.count
        notes = (
            note_rows(self._skipped, self._odd_times),
            note_outside(self._outside),
            self._note_assumed(),
        )
        return ImportResult(
            self._path,
            KIND,
            read,
            self._new,
            self._same,
            self._rejects.kept,
            note=join_notes(*notes),
            refused=refused,
            more_rejected=self._rejects.more,
        )

    def _note_assumed(self) -> str:
        count = self._new + self._same
        if not self._options.assume_filled or not count:
            return ""
        text = ngettext("%(count)d fill assumed", "%(count)d fills assumed", count)
        return text % {"count": count}

    def _store_batch(self, trades: Sequence[Trade]) -> WriteCount:
        if self._options.dry_run:
            return _count_known(self._store, trades)
        return self._store.write_trades(trades) if trades else WriteCount()

    def _trade(self, order: LegacyOrder) -> Trade:
        ident = f"{SOURCE}|{order.content}"
        return self._build(order, order.order_type, ident, SOURCE)

    def _fill(self, order: LegacyOrder) -> Iterator[Trade]:
        kind = _FILLS.get(order.order_type)
        if kind:
            yield self._build(order, kind, f"{ASSUMED}|{order.content}", ASSUMED)

    def _build(self, order: LegacyOrder, kind: OrderType, ident: str, source: str) -> Trade:
        return Trade(
            trade_uid=trade_uid(self._book, order.written_on, order.code, kind, ident),
            account_id=self._options.account_id,
            traded_at=order.ordered_at,
            trade_date=order.ordered_at.date(),
            code=order.code,
            name=order.name,
            order_type=kind,
            price=order.price,
            volume=order.volume,
            strategy_name=self._namespace,
            remark=order.remark,
            price_type=order.price_type,
            source=source,
        )


def _count_known(store: TradeLedger, trades: Sequence[Trade]) -> WriteCount:
    if not trades:
        return WriteCount()
    days = [trade.trade_date for trade in trades]
    stored = store.iter_trades(trades[0].account_id, min(days), max(days))
    known = {row["trade_uid"] for row in stored}
    same = sum(trade.trade_uid in known for trade in trades)
    return WriteCount(len(trades) - same, same)
