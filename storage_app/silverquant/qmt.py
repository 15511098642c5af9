"""Record what QMT calls back, from a class that needs no xtquant to be imported.

    class Callback(QmtRecorder, XtCustomCallback):
        pass

    my_callback = Callback(account_id=..., ...)
    my_callback.record_into(QMT_ACCOUNT_ID, STRATEGY_NAME)

The recorder comes first, does its part and passes each call on. Constants and fields are those
of xtquant's documentation (XtOrder, XtTrade, xtconstant).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from storage_app.contract.errors import StorageError
from storage_app.contract.roles import DataStore
from storage_app.contract.rules import Capital
from storage_app.contract.types import FillOutcome, PriceType, Side
from storage_app.silverquant.functions import orders_in_files_only
from storage_app.silverquant.recorder import BrokerFill, BrokerOrder, Recorder, capital_of

logger = logging.getLogger(__name__)

STOCK_BUY: Final = 23
STOCK_SELL: Final = 24
_SIDES: Final = {STOCK_BUY: Side.BUY, STOCK_SELL: Side.SELL}
# Of an order as it is placed (11, 42 to 48) and as the counter reports it (50).
_LIMIT: Final = frozenset({11, 50})
_MARKET: Final = frozenset(range(42, 49))
PART_CANCELLED: Final = 53
CANCELLED: Final = 54
REJECTED: Final = 57
# Nothing of the order will be filled any more, though not all of it was.
_ENDED: Final = frozenset({PART_CANCELLED, CANCELLED, REJECTED})


class QmtRecorder:
    """Mix it in before a callback class; `record_into` says where."""

    recorder: Recorder | None = None

    def record_into(
        self,
        account: str,
        strategy_name: str = "",
        *,
        namespace: str = "",
        store: DataStore | None = None,
        assets: Callable[[], Any] | None = None,
        remaining: Callable[[str], int | None] | None = None,
    ) -> None:
        """Record into a book from now on.

        Without `assets`, known cash moves by the amount of each fill, until `on_stock_asset`
        says more. With it, the account is asked with each fill (an XtAsset): xtquant answers a
        question within a callback only after `set_relaxed_response_order_enabled(True)`.
        `remaining` tells the shares left of a code after a sell, under the same condition; it
        settles positions whose volume nobody recorded.
        """
        book = f"{account}/{namespace}" if namespace else account
        names = getattr(getattr(self, "stock_names", None), "get_name", None)
        self.recorder = Recorder(
            book, strategy_name, store, names, _capital_source(assets), remaining
        )

    def on_stock_order(self, order: Any) -> None:
        recorder, side = self._recorder(), _SIDES.get(order.order_type)
        if side is not None:
            told = _order(order, side)
            recorder.order(told)
            cancelled = int(order.order_volume) - int(order.traded_volume or 0)
            if order.order_status in _ENDED and cancelled > 0:
                recorder.cancel(told, cancelled)
        self._pass_on("on_stock_order", order)

    def on_stock_trade(self, trade: Any) -> FillOutcome | None:
        recorder, side = self._recorder(), _SIDES.get(trade.order_type)
        outcome = None
        try:
            if side is not None:
                outcome = recorder.fill(_fill(trade, side))
        except StorageError:
            # Whatever became of the record, the strategy has to know of its fill.
            self._pass_on("on_stock_trade", trade)
            raise
        # A repeat is none of a strategy's business: it would tell people of it once more.
        if outcome is None or outcome.is_new:
            self._pass_on("on_stock_trade", trade)
        return outcome

    def on_order_error(self, order_error: Any) -> None:
        logger.warning("Order %s failed: %s", order_error.order_id, order_error.error_msg)
        self._pass_on("on_order_error", order_error)

    def on_cancel_error(self, cancel_error: Any) -> None:
        logger.warning(
            "Order %s was not cancelled: %s", cancel_error.order_id, cancel_error.error_msg
        )
        self._pass_on("on_cancel_error", cancel_error)

    def record_order(self, *args: Any, **kwargs: Any) -> None:
        """Let the file of orders have it; the ledger gets it by `on_stock_order`, numbered."""
        following = getattr(super(), "record_order", None)
        if following is not None:
            with orders_in_files_only():
                following(*args, **kwargs)

    def on_stock_asset(self, asset: Any) -> None:
        capital = _capital(asset)
        if capital is not None:
            self._recorder().capital(capital)
        self._pass_on("on_stock_asset", asset)

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("call record_into(account, strategy_name) before connecting")
        return self.recorder

    def _pass_on(self, name: str, argument: Any) -> None:
        following = getattr(super(), name, None)
        if following is not None:
            following(argument)


def _capital_source(assets: Callable[[], Any] | None) -> Callable[[], Capital | None] | None:
    return None if assets is None else lambda: _capital(assets())


def _capital(asset: Any) -> Capital | None:
    if asset is None:
        return None
    frozen = getattr(asset, "frozen_cash", 0)
    return capital_of(asset.cash, asset.total_asset, asset.market_value, frozen)


def _order(order: Any, side: Side) -> BrokerOrder:
    price = float(order.price or 0)
    kind = _price_type(order.price_type, price)
    return BrokerOrder(
        order_id=str(order.order_id),
        ordered_at=order.order_time,
        code=order.stock_code,
        side=side,
        volume=int(order.order_volume),
        price=None if kind is PriceType.MARKET else price,
        price_type=kind,
        remark=order.order_remark or "",
    )


def _price_type(number: int, price: float) -> PriceType:
    # A market order comes with price -1, or one that only bounds it.
    if number in _MARKET or price <= 0:
        return PriceType.MARKET
    return PriceType.LIMIT if number in _LIMIT else PriceType.UNKNOWN


def _fill(trade: Any, side: Side) -> BrokerFill:
    return BrokerFill(
        trade_id=str(trade.traded_id),
        order_id=str(trade.order_id),
        filled_at=trade.traded_time,
        code=trade.stock_code,
        side=side,
        price=trade.traded_price,
        volume=int(trade.traded_volume),
        remark=trade.order_remark or "",
    )
