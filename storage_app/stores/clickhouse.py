"""Trades and bars in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd
from clickhouse_driver import errors

from storage_app.contract.errors import Unavailable
from storage_app.contract.roles import KlineStore, TradeLedger
from storage_app.contract.types import OrderType, PriceType, Trade, WriteCount
from storage_app.stores import frames, trade_rows
from trades_app import connection, ingest, ledger
from trades_app.market import clock
from trades_app.queries import trades as trade_queries
from trades_app.queries.history import BarHistory, Range

COMPONENT = "clickhouse"
# Rows looked up at once; so many uids are named, more are all read between their dates, since
# a query that names thousands takes longer than one that returns them.
_LOOKUP = 5000
_NAMED = 1000
# A batch that a trading thread may be waiting for.
_PROMPT_TRADES = 100
_PROMPT_ROWS = 5000

_SERVER_GONE = (
    errors.ErrorCodes.TIMEOUT_EXCEEDED,
    errors.ErrorCodes.NO_FREE_CONNECTION,
    errors.ErrorCodes.SOCKET_TIMEOUT,
    errors.ErrorCodes.NETWORK_ERROR,
    errors.ErrorCodes.ABORTED,
    errors.ErrorCodes.ALL_CONNECTION_TRIES_FAILED,
    errors.ErrorCodes.QUERY_WAS_CANCELLED,
)


@contextmanager
def translating() -> Iterator[None]:
    """Turn silence, refusal and broken connections into Unavailable; other errors are bugs."""
    try:
        yield
    except (errors.NetworkError, errors.SocketTimeoutError, EOFError, OSError) as exc:
        raise Unavailable(COMPONENT, str(exc)) from exc
    except errors.ServerException as exc:
        if exc.code in _SERVER_GONE:
            raise Unavailable(COMPONENT, f"code {exc.code}") from exc
        raise


class _ClickHouse:
    component = COMPONENT

    def ping(self) -> None:
        with translating(), connection.leased(answer_timeout=connection.PROMPT) as client:
            client.execute("SELECT 1")

    def close(self) -> None:
        """Close the idle connections of this process; they open again when needed."""
        connection.close_idle()


class ClickHouseTrades(_ClickHouse, TradeLedger):
    """The ledger in ClickHouse.

    Two processes that write the same trade at the same instant leave two copies, of which every
    read shows the later one.
    """

    def write_trades(self, trades: Sequence[Trade]) -> WriteCount:
        wanted = [trade_rows.normalised(trade) for trade in trades]
        timeout = connection.PROMPT if len(wanted) <= _PROMPT_TRADES else None
        with translating():
            new = trade_rows.select_new(wanted, _find_stored(wanted, timeout))
            ingest.insert_trades(_columns(new), answer_timeout=timeout)
        return WriteCount(new=len(new), same=len(wanted) - len(new))

    def find_trade(self, trade: Trade) -> Trade | None:
        """Return the row that stands for the identity of a trade."""
        with translating():
            return _find_stored([trade], connection.PROMPT).get(trade.trade_uid)

    def find_trades(self, trades: Sequence[Trade]) -> dict[str, Trade]:
        """Return by uid the rows that stand for the identities of these trades."""
        with translating():
            return _find_stored(trades, None)

    def correct_trade(self, trade: Trade) -> None:
        """Put a trade in the place of what stands for its uid; for a person's decision only."""
        row = {name: values[0] for name, values in _columns([trade_rows.normalised(trade)]).items()}
        with translating():
            ingest.correct_trade(row, answer_timeout=connection.PROMPT)

    def query_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        wanted = _filter(account_id, start_date, end_date, code, strategy_name)
        timeout = connection.PROMPT if limit <= _PROMPT_ROWS else None
        with translating():
            return trade_queries.read_trades(wanted, limit, answer_timeout=timeout)

    def iter_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        wanted = _filter(account_id, start_date, end_date, code, strategy_name)
        with translating():
            yield from trade_queries.stream_trades(wanted)

    def aggregate_trades(
        self,
        account_id: str | None,
        start_date: date | str,
        end_date: date | str,
        group_by: str = "month",
    ) -> list[dict[str, Any]]:
        start, end = clock.parse_date(start_date), clock.parse_date(end_date)
        with translating():
            fills = trade_queries.read_fills(account_id, end)
        return ledger.summarise(fills, start, end, group_by)


class ClickHouseKlines(_ClickHouse, KlineStore):
    """Bars in ClickHouse, repeated reads from memory (see `trades_app.bar_cache`)."""

    def __init__(self) -> None:
        self._history = BarHistory()

    def get_kline(
        self,
        code: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        return self.batch_get_kline([code], start_date, end_date, days, adjust)[code]

    def batch_get_kline(
        self,
        codes: Sequence[str],
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        days: int | None = None,
        adjust: str = "none",
    ) -> dict[str, pd.DataFrame]:
        start = None if days else _date(start_date)
        wanted = Range(start, _date(end_date), days)
        with translating():
            return self._history.read(list(dict.fromkeys(codes)), wanted, adjust)

    def read_kline_frame(
        self,
        codes: Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        adjust: str = "none",
    ) -> pd.DataFrame:
        wanted = Range(_date(start_date), _date(end_date))
        with translating():
            return self._history.read_market(codes, wanted, adjust)

    def write_klines(self, frame: pd.DataFrame, adjust: str = "none", source: str = "") -> int:
        bars = frames.checked_bars(frame)
        with translating():
            ingest.insert_bars(bars, adjust, source)
        return len(bars)

    def write_adjust_factors(self, frame: pd.DataFrame, source: str = "") -> int:
        """Write cumulative factors: `code`, `ex_date` and `factor`; return the rows written."""
        factors = frames.checked_factors(frame)
        with translating():
            ingest.insert_factors(factors, source)
        return len(factors)

    def close(self) -> None:
        self._history.clear()
        super().close()


def _find_stored(trades: Sequence[Trade], timeout: float | None) -> dict[str, Trade]:
    """Return the stored trades with these uids, asking account by account, oldest first."""
    found: dict[str, Trade] = {}
    by_account: dict[str, list[Trade]] = {}
    for trade in trades:
        by_account.setdefault(trade.account_id, []).append(trade)
    for account_id, own in by_account.items():
        own.sort(key=_trade_date)
        for start in range(0, len(own), _LOOKUP):
            part = own[start : start + _LOOKUP]
            rows = trade_queries.find_trades(
                account_id,
                part[0].trade_date,
                part[-1].trade_date,
                [trade.trade_uid for trade in part] if len(part) <= _NAMED else None,
                answer_timeout=timeout,
            )
            found.update((row[0], to_trade(row)) for row in rows)
    return found


def _trade_date(trade: Trade) -> date:
    return trade.trade_date


def to_trade(row: Sequence[Any]) -> Trade:
    """Return a row of FOUND_COLUMNS as a trade."""
    values = dict(zip(trade_queries.FOUND_COLUMNS, row, strict=True))
    values["order_type"] = OrderType(values["order_type"])
    values["price_type"] = PriceType(values["price_type"])
    return Trade(**values)


def _columns(trades: Sequence[Trade]) -> dict[str, list[Any]]:
    columns = {name: [getattr(trade, name) for trade in trades] for name in ingest.TRADE_COLUMNS}
    for name in ("order_type", "price_type"):
        # The driver would send the name of an enum's member.
        columns[name] = [kind.value for kind in columns[name]]
    return columns


def _filter(
    account_id: str,
    start_date: date | str | None,
    end_date: date | str | None,
    code: str | None,
    strategy_name: str | None,
) -> trade_queries.TradeFilter:
    return trade_queries.TradeFilter(
        account_id, _date(start_date), _date(end_date), code, strategy_name
    )


def _date(value: date | str | None) -> date | None:
    return None if value is None else clock.parse_date(value)
