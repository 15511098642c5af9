"""Block inserts into ClickHouse; every write of trades, bars and factors goes through here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trades_app import bar_cache
from trades_app.connection import leased
from trades_app.quality import Bars

TRADE_COLUMNS = (
    "trade_uid",
    "account_id",
    "trade_date",
    "traded_at",
    "code",
    "name",
    "order_type",
    "price_type",
    "price",
    "volume",
    "amount",
    "strategy_name",
    "remark",
    "order_id",
    "trade_id",
    "source",
)
BAR_BLOCK = 1_000_000
TRADE_BLOCK = 100_000

_INSERT_TRADES = f"INSERT INTO trade ({', '.join(TRADE_COLUMNS)}, ingested_at) VALUES"
_NEWEST_COPY = (
    "SELECT max(toUnixTimestamp64Micro(ingested_at)) FROM trade WHERE account_id = %(account_id)s "
    "AND trade_date = %(trade_date)s AND trade_uid = %(trade_uid)s"
)
_INSERT_BARS = (
    "INSERT INTO daily_kline (adjust, code, trade_date, open_ticks, high_ticks, low_ticks, "
    "close_ticks, volume, amount_fen, source, version) VALUES"
)
_INSERT_FACTORS = "INSERT INTO adjust_factor (code, ex_date, factor, source, version) VALUES"


def insert_trades(
    columns: Mapping[str, Sequence[Any]], *, answer_timeout: float | None = None
) -> None:
    """Insert rows given as TRADE_COLUMNS, price and amount as Decimal, in large blocks."""
    _insert_trades(columns, _now_in_microseconds(), answer_timeout)


def correct_trade(row: Mapping[str, Any], *, answer_timeout: float | None = None) -> None:
    """Insert a row, given as TRADE_COLUMNS, in place of the one that stands for its uid.

    The newest copy of a uid is the one that reads show, and the copy that stands may come from
    a host whose clock is ahead of ours.
    """
    with leased(answer_timeout=answer_timeout) as client:
        ((newest,),) = client.execute(
            _NEWEST_COPY, {name: row[name] for name in ("account_id", "trade_date", "trade_uid")}
        )
    columns = {name: [row[name]] for name in TRADE_COLUMNS}
    _insert_trades(columns, max(_now_in_microseconds(), newest + 1), answer_timeout)


def _insert_trades(
    columns: Mapping[str, Sequence[Any]], ingested_at: int, answer_timeout: float | None
) -> None:
    # Times as numbers, since the driver takes longer to convert them than to send the rest.
    milliseconds = [round(moment.timestamp() * 1000) for moment in columns["traded_at"]]
    columns = {**columns, "traded_at": milliseconds}
    rows = len(milliseconds)
    for start in range(0, rows, TRADE_BLOCK):
        part = slice(start, start + TRADE_BLOCK)
        block = [list(columns[name][part]) for name in TRADE_COLUMNS]
        block.append([ingested_at] * len(block[0]))
        with leased(answer_timeout=answer_timeout) as client:
            client.execute(_INSERT_TRADES, block, columnar=True)


def insert_bars(bars: Bars, adjust: str, source: str) -> None:
    """Insert bars as a newer version of what stands for their code, date and `adjust`."""
    version = time.time_ns()
    with bar_cache.changing_bars():
        for start in range(0, len(bars), BAR_BLOCK):
            part = slice(start, start + BAR_BLOCK)
            rows = len(bars.day[part])
            columns = [
                _constant(adjust, rows),
                bars.code[part],
                bars.day[part],
                bars.open[part],
                bars.high[part],
                bars.low[part],
                bars.close[part],
                bars.volume[part],
                bars.amount[part],
                _constant(source, rows),
                np.full(rows, version, dtype=np.uint64),
            ]
            with leased(numpy=True) as client:
                client.execute(_INSERT_BARS, columns, columnar=True)


def insert_factors(frame: pd.DataFrame, source: str) -> None:
    """Insert cumulative factors: `code`, `ex_date` (date) and `factor` (Decimal)."""
    rows = len(frame)
    columns = [
        *(frame[name].tolist() for name in ("code", "ex_date", "factor")),
        [source] * rows,
        [time.time_ns()] * rows,
    ]
    with bar_cache.changing_bars(), leased() as client:
        client.execute(_INSERT_FACTORS, columns, columnar=True)


def _now_in_microseconds() -> int:
    return time.time_ns() // 1000


def _constant(value: str, rows: int) -> Any:
    return np.full(rows, value, dtype=object)
