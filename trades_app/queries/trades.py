"""Reads of the trade table, each in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from trades_app.connection import leased
from trades_app.ledger import ASSUMED, Fills
from trades_app.market import clock

# The trading date decides the partition, so FINAL need not merge across partitions.
_SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
_FIELDS = (
    "toString(trade_uid), account_id, toUnixTimestamp64Milli(traded_at), trade_date, code, name, "
    "order_type, toFloat64(price), volume, strategy_name, remark, price_type, order_id, trade_id, "
    "source, toFloat64(amount)"
)
_NEWEST_FIRST = "ORDER BY trade_date DESC, traded_at DESC, toString(trade_uid) DESC"
_OLDEST_FIRST = "ORDER BY trade_date, traded_at, toString(trade_uid)"
_STREAM_BLOCK = 8192

FOUND_COLUMNS = (
    "trade_uid",
    "account_id",
    "traded_at",
    "trade_date",
    "code",
    "name",
    "order_type",
    "price",
    "volume",
    "strategy_name",
    "remark",
    "price_type",
    "order_id",
    "trade_id",
    "source",
)
_FOUND = ("toString(trade_uid)", *FOUND_COLUMNS[1:])


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which rows; None means any, dates are inclusive trading dates."""

    account_id: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    code: str | None = None
    strategy_name: str | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return a WHERE clause and its parameters."""
        conditions = {
            "account_id": "account_id = %(account_id)s",
            "start_date": "trade_date >= %(start_date)s",
            "end_date": "trade_date <= %(end_date)s",
            "code": "code = %(code)s",
            "strategy_name": "strategy_name = %(strategy_name)s",
        }
        values = {name: getattr(self, name) for name in conditions}
        given = {name: value for name, value in values.items() if value is not None}
        clause = " AND ".join(conditions[name] for name in given)
        return f"WHERE {clause}" if clause else "", given


def read_trades(
    wanted: TradeFilter, limit: int, *, answer_timeout: float | None = None
) -> list[dict[str, Any]]:
    """Return rows as dicts, newest first; `timestamp` is aware, price and amount are floats."""
    where, values = wanted.where()
    with leased(answer_timeout=answer_timeout) as client:
        columns = client.execute(
            f"SELECT {_FIELDS} FROM trade FINAL {where} {_NEWEST_FIRST} "  # noqa: S608
            f"LIMIT %(limit)s {_SETTINGS}",
            {**values, "limit": limit},
            columnar=True,
        )
    return [_as_dict(row) for row in zip(*columns, strict=True)]


def stream_trades(wanted: TradeFilter) -> Iterator[dict[str, Any]]:
    """Yield rows oldest first, holding a block at a time."""
    where, values = wanted.where()
    with leased() as client:
        rows = client.execute_iter(
            f"SELECT {_FIELDS} FROM trade FINAL {where} {_OLDEST_FIRST} {_SETTINGS}",  # noqa: S608
            values,
            settings={"max_block_size": _STREAM_BLOCK},
        )
        for row in rows:
            yield _as_dict(row)


def _as_dict(row: Sequence[Any]) -> dict[str, Any]:
    (
        uid,
        account_id,
        milliseconds,
        trade_date,
        code,
        name,
        order_type,
        price,
        volume,
        strategy_name,
        remark,
        price_type,
        order_id,
        trade_id,
        source,
        amount,
    ) = row
    return {
        "trade_uid": uid,
        "account_id": account_id,
        "timestamp": datetime.fromtimestamp(milliseconds / 1000, clock.SHANGHAI),
        "trade_date": trade_date,
        "code": code,
        "name": name,
        "order_type": order_type,
        "price": price,
        "volume": volume,
        "strategy_name": strategy_name,
        "remark": remark,
        "price_type": price_type,
        "order_id": order_id,
        "trade_id": trade_id,
        "source": source,
        "amount": amount,
    }


def read_fills(account_id: str | None, end_date: date) -> Fills:
    """Return every fill of an account (None: of all) up to `end_date`."""
    where, values = TradeFilter(account_id=account_id, end_date=end_date).where()
    with leased(numpy=True) as client:
        columns = client.execute(
            "SELECT account_id, code, toInt64(toInt32(trade_date)), "  # noqa: S608
            "toUnixTimestamp64Milli(traded_at), order_type = 'buy_trade', "
            "reinterpretAsInt64(price), toInt64(volume), if(order_id = '', cityHash64(trade_uid), "
            "cityHash64(account_id, trade_date, code, order_type, order_id)), "
            "source = %(assumed)s "
            f"FROM trade FINAL {where} AND order_type IN ('buy_trade', 'sell_trade') {_SETTINGS}",
            {**values, "assumed": ASSUMED},
            columnar=True,
        )
    if not columns:
        return Fills.none()
    accounts, codes, day, at, is_buy, price, volume, order, is_assumed = columns
    group = accounts.codes.astype(np.int64) * len(codes.categories) + codes.codes
    names = codes.categories.tolist() * len(accounts.categories)
    flags = is_buy.astype(bool), is_assumed.astype(bool)
    return Fills(names, group, day, at, flags[0], price, volume, order, flags[1])


def find_trades(
    account_id: str,
    start_date: date,
    end_date: date,
    uids: Sequence[str] | None,
    *,
    answer_timeout: float | None = None,
) -> list[tuple[Any, ...]]:
    """Return FOUND_COLUMNS of the rows between two dates, of these uids or (None) of all."""
    only = "" if uids is None else "AND trade_uid IN %(uids)s"
    with leased(answer_timeout=answer_timeout) as client:
        rows: list[tuple[Any, ...]] = client.execute(
            f"SELECT {', '.join(_FOUND)} FROM trade FINAL "  # noqa: S608 - constants only
            "WHERE account_id = %(account_id)s AND trade_date BETWEEN %(start)s AND %(end)s "
            f"{only} {_SETTINGS}",
            {
                "account_id": account_id,
                "start": start_date,
                "end": end_date,
                "uids": tuple(uids or ()),
            },
        )
    return rows
