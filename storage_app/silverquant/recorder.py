"""What every broker's callbacks record: orders, cancels, and fills in one step.

A callback is repeated after each reconnect, and a row is identified by the broker's number, so
whatever is written here depends on nothing but what the broker says. A failure to record is
logged and raised: the broker's client calls again after a reconnect, and nothing counts twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import Conflict
from storage_app.contract.roles import DataStore
from storage_app.contract.rules import Capital, parse_totals
from storage_app.contract.types import FillOutcome, Money, OrderType, PriceType, Side
from storage_app.silverquant import registry
from trades_app.market import codes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker knows it; `price` is None for a market order."""

    order_id: str
    ordered_at: datetime | float | str
    code: str
    side: Side
    volume: int
    price: Money | None
    price_type: PriceType = PriceType.UNKNOWN
    remark: str = ""


@dataclass(frozen=True, slots=True)
class BrokerFill:
    trade_id: str
    order_id: str
    filled_at: datetime | float | str
    code: str
    side: Side
    price: Money
    volume: int
    remark: str = ""


@dataclass(slots=True)
class Recorder:
    """Records into one book. `names` gives the name of a code, `assets` the account's capital.

    `remaining` gives the shares that the broker says are left of a code after a sell, None if it
    does not tell.
    """

    book: str
    strategy_name: str = ""
    store: DataStore | None = None
    names: Callable[[str], str] | None = None
    assets: Callable[[], Capital | None] | None = None
    remaining: Callable[[str], int | None] | None = None

    @property
    def account(self) -> str:
        return self.book.partition("/")[0]

    def order(self, order: BrokerOrder) -> None:
        kind = OrderType.BUY_ORDER if order.side is Side.BUY else OrderType.SELL_ORDER
        self._row(order, kind, order.price or 0, order.volume)

    def cancel(self, order: BrokerOrder, cancelled: int) -> None:
        """Record that so many shares of an order will not be filled."""
        self._row(order, OrderType.CANCEL, order.price or 0, cancelled)

    def capital(self, capital: Capital) -> None:
        """Record what the broker says the account has now."""
        self._store().update_account_capital(
            self.account,
            capital.current_capital or 0,
            capital.total_assets,
            capital.position_value or 0,
        )

    def fill(self, fill: BrokerFill) -> FillOutcome:
        if not codes.holdable(parse_code(fill.code)):
            return self._lent(fill)
        is_sell = fill.side is Side.SELL
        return self._store().record_fill(
            self.book,
            fill.filled_at,
            fill.code,
            self._name(fill.code),
            fill.side,
            fill.price,
            fill.volume,
            self.strategy_name,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            remark=fill.remark,
            remaining=self.remaining(fill.code) if is_sell and self.remaining else None,
            capital=self.assets() if self.assets else None,
        )

    def _lent(self, fill: BrokerFill) -> FillOutcome:
        """Record a repo or standard bond, which is money lent and never a position."""
        side = OrderType.BUY_TRADE if fill.side is Side.BUY else OrderType.SELL_TRADE
        uid = self._store().record_trade(
            self.account, fill.filled_at, fill.code, self._name(fill.code), side, fill.remark,
            fill.price, fill.volume, self.strategy_name, order_id=fill.order_id,
            trade_id=fill.trade_id,
        )  # fmt: skip
        return FillOutcome(uid, None)

    def _row(self, order: BrokerOrder, kind: OrderType, price: Money, volume: int) -> None:
        try:
            self._store().record_trade(
                self.account,
                order.ordered_at,
                order.code,
                self._name(order.code),
                kind,
                order.remark,
                price,
                volume,
                self.strategy_name,
                order_id=order.order_id,
                price_type=order.price_type,
            )
        except Conflict as exc:
            # The broker tells of an order again and again; what it said first stands.
            logger.warning("Order %s is kept as it was recorded first: %s", order.order_id, exc)

    def _store(self) -> DataStore:
        return self.store or registry.store()

    def _name(self, code: str) -> str:
        return self.names(code) if self.names else ""


def capital_of(cash: Any, total: Any, value: Any, frozen: Any = 0) -> Capital | None:
    """Return the figures of a broker, frozen cash being cash; None if it has none."""
    if cash is None or total is None:
        return None
    return parse_totals(float(cash) + float(frozen or 0), total, value or 0)
