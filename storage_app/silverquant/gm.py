"""Record what GM (掘金) calls back, without importing its package.

    class Callback(GmRecorder, GmCallback):
        pass

Constants and fields are those of gmtrade's documentation (Order, ExecRpt).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from storage_app.contract.errors import StorageError
from storage_app.contract.roles import DataStore
from storage_app.contract.types import FillOutcome, PriceType, Side
from storage_app.silverquant.functions import orders_in_files_only
from storage_app.silverquant.recorder import BrokerFill, BrokerOrder, Recorder

logger = logging.getLogger(__name__)

_SIDES: Final = {1: Side.BUY, 2: Side.SELL}
TRADE: Final = 15  # ExecType_Trade
_PRICE_TYPES: Final = {1: PriceType.LIMIT, 2: PriceType.MARKET}
CANCELLED: Final = 5
REJECTED: Final = 8
EXPIRED: Final = 12
_ENDED: Final = frozenset({CANCELLED, REJECTED, EXPIRED})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class GmRecorder:
    """Mix it in before a callback class; `record_into` says where."""

    recorder: Recorder | None = None

    def record_into(
        self,
        account: str,
        strategy_name: str = "",
        *,
        namespace: str = "",
        store: DataStore | None = None,
    ) -> None:
        """Record into a book from now on; without the broker's word cash moves by the amount."""
        book = f"{account}/{namespace}" if namespace else account
        names = getattr(getattr(self, "stock_names", None), "get_name", None)
        self.recorder = Recorder(book, strategy_name, store, names)

    def on_order_status(self, order: Any) -> None:
        recorder, side = self._recorder(), _SIDES.get(order.side)
        if side is not None:
            told = _order(order, side)
            recorder.order(told)
            cancelled = int(order.volume) - int(order.filled_volume or 0)
            if order.status in _ENDED and cancelled > 0:
                recorder.cancel(told, cancelled)
        if order.status == REJECTED:
            reason = getattr(order, "ord_rej_reason_detail", "")
            logger.warning("Order %s was rejected: %s", order.cl_ord_id, reason)
        self._pass_on("on_order_status", order)

    def on_execution_report(self, rpt: Any) -> FillOutcome | None:
        recorder, side = self._recorder(), _SIDES.get(rpt.side)
        outcome = None
        try:
            if side is not None and rpt.exec_type == TRADE:
                outcome = recorder.fill(_fill(rpt, side))
        except StorageError:
            # Whatever became of the record, the strategy has to know of its fill.
            self._pass_on("on_execution_report", rpt)
            raise
        if outcome is None or outcome.is_new:
            self._pass_on("on_execution_report", rpt)
        return outcome

    def record_order(self, *args: Any, **kwargs: Any) -> None:
        """Let the file of orders have it; the ledger gets it by `on_order_status`, numbered."""
        following = getattr(super(), "record_order", None)
        if following is not None:
            with orders_in_files_only():
                following(*args, **kwargs)

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("call record_into(account, strategy_name) before connecting")
        return self.recorder

    def _pass_on(self, name: str, argument: Any) -> None:
        following = getattr(super(), name, None)
        if following is not None:
            following(argument)


def _order(order: Any, side: Side) -> BrokerOrder:
    kind = _PRICE_TYPES.get(order.order_type, PriceType.UNKNOWN)
    return BrokerOrder(
        order_id=str(order.cl_ord_id),
        ordered_at=_moment(order.created_at),
        code=order.symbol,
        side=side,
        volume=int(order.volume),
        # A price of 8.3 comes as 8.300000190734863.
        price=None if kind is PriceType.MARKET else round(float(order.price), 3),
        price_type=kind,
    )


def _fill(rpt: Any, side: Side) -> BrokerFill:
    return BrokerFill(
        trade_id=str(rpt.exec_id),
        order_id=str(rpt.cl_ord_id),
        filled_at=_moment(rpt.created_at),
        code=rpt.symbol,
        side=side,
        price=round(float(rpt.price), 3),
        volume=int(rpt.volume),
    )


def _moment(stamp: Any) -> datetime:
    """Return the moment of a protobuf timestamp."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
