"""The five roles of a data store; `DataStore` is their sum, so every signature stands once.

Backends subclass the role they play. Arguments arrive checked and normalised (see
`arguments.py`): codes are canonical, dates are `date`, prices are `Decimal`. A role implements
here what must be decided once, above every backend: the clock and the identity of a trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from storage_app.contract.identity import new_trade
from storage_app.contract.rules import Capital
from storage_app.contract.types import (
    BookState,
    FillOutcome,
    Money,
    PositionState,
    Trade,
    WriteCount,
)
from trades_app.market import calendar, clock

if TYPE_CHECKING:
    import pandas as pd


class PositionStore(Protocol):
    """State of open positions, a book at a time.

    `account_id` is an account number or `account/namespace`, since several strategies may
    share one account. Every method raises Unavailable when the backend does not answer, and
    InvalidInput for a code, book, age or price that no store accepts.
    """

    def get_held_days(self, code: str, account_id: str) -> int | None:
        """Return trading days since the opening day (day 0); None means there is no position."""
        ...

    def update_held_days(self, code: str, days: int, account_id: str) -> None: ...

    def delete_held_days(self, code: str, account_id: str) -> None:
        """Forget the position with its price extremes; no error when there is none."""
        ...

    def all_held_inc(self, account_id: str) -> bool:
        """Age every open position by one trading day, once per book and Shanghai trading date.

        True: done now. False: done before today, or today is not a trading day. Anything else
        is an exception, so False never hides a failure.
        """
        today = clock.today()
        return calendar.is_trading_day(today) and self.increment_held_days(account_id, today)

    def increment_held_days(self, account_id: str, trade_date: date) -> bool:
        """Do the increment of `trade_date`; False when that date or a later one is done."""
        ...

    def get_max_price(self, code: str, account_id: str) -> float | None: ...

    def update_max_price(self, code: str, price: Money, account_id: str) -> None:
        """Set the highest price since opening, in yuan; may lower it, unlike `raise_extremes`."""
        ...

    def get_min_price(self, code: str, account_id: str) -> float | None: ...

    def update_min_price(self, code: str, price: Money, account_id: str) -> None: ...

    def get_positions(self, account_id: str) -> dict[str, PositionState]:
        """Return the whole book in one round trip, closed entries (held_days None) included."""
        return dict(self.read_book(account_id).positions)

    def read_book(self, account_id: str) -> BookState:
        """Return positions and the date of the last increment in one round trip."""
        ...

    def raise_extremes(self, account_id: str, prices: Mapping[str, tuple[Money, Money]]) -> None:
        """Widen the extremes by a tick, `{code: (high, low)}`, atomically in one round trip.

        Codes without an open position are passed over: a tick never opens a position.
        """
        ...

    def open_positions(self, account_id: str, codes: Sequence[str]) -> list[str]:
        """Open at day 0 the codes that are not open yet; return those opened now."""
        ...

    def replace_positions(
        self,
        account_id: str,
        positions: Mapping[str, PositionState],
        increment_date: date | None = None,
    ) -> None:
        """Make the book equal to `positions` in one step (import, restore, repair)."""
        ...

    def apply_fill(
        self,
        account_id: str,
        code: str,
        side: str,
        volume: int,
        price: Money,
        *,
        trade_id: str,
        timestamp: datetime | float | str,
        remaining: int | None = None,
    ) -> PositionState | None:
        """Move the position by one fill, once per `trade_id`; return what is held afterwards.

        A buy opens at day 0 or adds and keeps the age; a sell closes (None) only when nothing
        remains. `remaining` is the broker's word on the volume left and wins over arithmetic.
        A sell of an unknown volume without it leaves the position flagged UNCONFIRMED; a sell
        of more than is held closes nothing and is flagged OVERSOLD with volume 0.
        """
        ...

    def list_books(self) -> list[str]: ...


class TradeLedger(Protocol):
    """Orders, fills and cancels; `account_id` is a plain account number without a namespace."""

    def record_trade(
        self,
        account_id: str,
        timestamp: datetime | float | str,
        code: str,
        name: str,
        order_type: str,
        remark: str,
        price: Money,
        volume: int,
        strategy_name: str = "",
        *,
        order_id: str = "",
        trade_id: str = "",
        price_type: str = "unknown",
    ) -> str:
        """Write one row and return its uid.

        `timestamp` is unix seconds (int, float or string) or an aware datetime; `price` yuan,
        `volume` shares. A fill is identified by `trade_id`, an order or cancel by `order_id`,
        within account, trading date, code and kind: again and equal is a no-op, again and
        different raises Conflict. Without its id every call is a new row.
        """
        trade = new_trade(
            account_id=account_id,
            timestamp=timestamp,
            code=code,
            name=name,
            order_type=order_type,
            remark=remark,
            price=price,
            volume=volume,
            strategy_name=strategy_name,
            order_id=order_id,
            trade_id=trade_id,
            price_type=price_type,
        )
        self._record(trade)
        return trade.trade_uid

    def _record(self, trade: Trade) -> None:
        """Write what a trading thread waits for."""
        self.write_trades([trade])

    def write_trades(self, trades: Sequence[Trade]) -> WriteCount:
        """Write a batch; equal rows count as `same`, one that differs raises Conflict for all."""
        ...

    def query_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        """Return rows newest first, both dates inclusive (Shanghai trading dates).

        Keys: the fields of `Trade`, `timestamp` for `traded_at`, and `amount`; price and amount
        as float.
        """
        ...

    def iter_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield every row oldest first, in bounded memory; same keys as `query_trades`."""
        ...

    def aggregate_trades(
        self,
        account_id: str | None,
        start_date: date | str,
        end_date: date | str,
        group_by: str = "month",
    ) -> list[dict[str, Any]]:
        """Sum fills by `day`, `month` or `year`, oldest first; account None means all accounts.

        Keys: period ('2026-01-05', '2026-01' or '2026'), trade_count, buy_amount, sell_amount,
        total_amount, fee, profit, win_rate, unmatched_volume, is_estimate. Profit is FIFO per
        account and code, before fees, an opening before `start_date` counting as cost;
        `win_rate` is None without a closed lot; `unmatched_volume` is shares sold without a
        recorded buy;
        `is_estimate` is True where a figure rests on a fill that an import assumed from its
        order (source `assumed`), and wherever the figures are shown they are to be labelled so.
        """
        ...


class KlineStore(Protocol):
    """Daily bars: prices in yuan, volume in shares, amount in yuan, oldest first."""

    def get_kline(
        self,
        code: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        """Return BAR_COLUMNS with `datetime` as int YYYYMMDD; empty with the columns if none.

        `days` means the last so many rows up to `end_date` and beats `start_date`.
        """
        ...

    def batch_get_kline(
        self,
        codes: Sequence[str],
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> dict[str, pd.DataFrame]:
        """Return a frame per code, at most 100 codes, in one query."""
        ...

    def read_kline_frame(
        self,
        codes: Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        """Return `code` and BAR_COLUMNS for many codes (None: the whole market) as one frame."""
        ...

    def write_klines(self, frame: pd.DataFrame, adjust: str = "none", source: str = "") -> int:
        """Write bars (columns `code` and BAR_COLUMNS) in blocks; return the rows written.

        A bar that exists for code, date and adjust is replaced.
        """
        ...

    def write_adjust_factors(self, frame: pd.DataFrame, source: str = "") -> int:
        """Write columns `code`, `ex_date`, `factor` (复权因子, cumulative); return the rows.

        `get_kline` with adjust qfq or hfq derives prices from them where no adjusted series
        was imported. A factor that exists for code and ex-date is replaced.
        """
        ...


class AccountBook(Protocol):
    """Accounts, their capital and their strategies; money in yuan."""

    def create_account(
        self,
        account_id: str,
        account_name: str,
        broker: str,
        initial_capital: Money,
        *,
        environment: str = "live",
    ) -> int:
        """Return the new primary key; Conflict when the number is taken."""
        ...

    def get_account(self, account_id: str) -> dict[str, Any] | None:
        """Return the account or None.

        Keys: id, account_id, account_name, broker, environment, status, initial_capital,
        current_capital, total_assets, position_value (float, None when unknown).
        """
        ...

    def list_accounts(self, status: str | None = None) -> list[dict[str, Any]]: ...

    def update_account_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
    ) -> None:
        """Set today's capital and its daily snapshot; NotFound for an unknown account."""
        ...

    def set_account_status(self, account_id: str, status: str, reason: str) -> None: ...

    def bind_strategy(
        self,
        account_id: str,
        strategy_name: str,
        allocated_capital: Money,
        risk_limit: Money = 100,
    ) -> int:
        """Give a strategy a share of the account; allocations may not exceed total assets.

        `risk_limit` is percent of the allocation, 0 to 100. Returns the primary key.
        """
        ...

    def list_account_strategies(self, account_id: str) -> list[dict[str, Any]]:
        """Return bindings: strategy_name, allocated_capital, risk_limit, status."""
        ...

    def list_strategy_accounts(self, strategy_name: str) -> list[dict[str, Any]]:
        """Return bindings: account_id, allocated_capital, risk_limit, status."""
        ...


class StrategyBook(Protocol):
    """Strategies and their immutable parameter versions."""

    def create_strategy(
        self,
        strategy_name: str,
        strategy_code: str,
        strategy_type: str,
        version: str,
        description: str = "",
    ) -> int: ...

    def list_strategies(self) -> list[dict[str, Any]]:
        """Return id, strategy_name, strategy_code, strategy_type, version, status, description,
        active_version."""
        ...

    def get_strategy_params(self, strategy_name: str, version: int | None = None) -> dict[str, Any]:
        """Return the parameters of a version, None meaning the active one; {} before any save.

        NotFound for an unknown strategy or version.
        """
        ...

    def save_strategy_params(
        self, strategy_name: str, params: Mapping[str, Any], remark: str = ""
    ) -> int:
        """Store the whole set as the next version, make it active, return its number."""
        ...

    def activate_strategy_params(self, strategy_name: str, version: int) -> None: ...

    def compare_strategy_params(
        self, strategy_name: str, version_a: int, version_b: int
    ) -> dict[str, tuple[Any, Any]]:
        """Return {key: (a, b)} of the keys that differ; ABSENT stands for a missing key."""
        ...

    def list_strategy_versions(self, strategy_name: str) -> list[dict[str, Any]]:
        """Return version, remark, created_by, created_at, is_active; newest first."""
        ...


class DataStore(PositionStore, TradeLedger, KlineStore, AccountBook, StrategyBook, Protocol):
    """What `create_data_store` returns."""

    def record_fill(
        self,
        account_id: str,
        timestamp: datetime | float | str,
        code: str,
        name: str,
        side: str,
        price: Money,
        volume: int,
        strategy_name: str = "",
        *,
        trade_id: str,
        order_id: str = "",
        remark: str = "",
        remaining: int | None = None,
        capital: Capital | None = None,
    ) -> FillOutcome:
        """Move position, ledger and capital by one fill in one step, once per `trade_id`.

        `account_id` is a book; the ledger's row belongs to its account. `remaining` and `capital`
        are the broker's word on the position and the account after the fill; without `capital`
        the known cash moves by the amount, fees aside. Again and equal in time, price and volume
        is a no-op; again and different raises Conflict. File and hybrid mode only.
        """
        ...

    def health_check(self) -> dict[str, str]:
        """Return {component: 'ok' | 'degraded' | 'down'} within 0.5 s."""
        ...

    def close(self) -> None:
        """Release connections; calling it again does nothing."""
        ...


ROLES: tuple[type, ...] = (PositionStore, TradeLedger, KlineStore, AccountBook, StrategyBook)


def role_methods(role: type) -> Iterable[str]:
    """Return the public method names that a role defines, in source order."""
    return [name for name in vars(role) if not name.startswith("_") and callable(vars(role)[name])]
