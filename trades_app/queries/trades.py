"""Reads of the trade table, each in one round trip."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from trades_app.connection import leased
from trades_app.ledger import ASSUMED, Fill, Fills
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
_FILL_CONDITIONS = {
    "fills": "order_type IN ('buy_trade', 'sell_trade')",
    "accounts": "account_id IN %(accounts)s",
    "codes": "code IN %(codes)s",
    "end_date": "trade_date <= %(end_date)s",
}

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
        "timestamp": _moment(milliseconds),
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
    return read_account_fills(None if account_id is None else [account_id], end_date).fills


@dataclass(frozen=True, slots=True)
class AccountFills:
    """Fills of several accounts; `accounts[group]` is the account of a group."""

    accounts: list[str]
    fills: Fills


def read_account_fills(
    account_ids: Collection[str] | None,
    end_date: date | None = None,
    codes: Collection[str] | None = None,
) -> AccountFills:
    """Return every fill of these accounts and codes (None: of all) up to `end_date`."""
    values = {"accounts": account_ids, "codes": codes, "end_date": end_date}
    given = {name: value for name, value in values.items() if value is not None}
    if any(not value for value in given.values()):
        return AccountFills([], Fills.none())
    where = " AND ".join(_FILL_CONDITIONS[name] for name in ("fills", *given))
    with leased(numpy=True) as client:
        columns = client.execute(
            "SELECT account_id, code, toInt64(toInt32(trade_date)), "  # noqa: S608
            "toUnixTimestamp64Milli(traded_at), order_type = 'buy_trade', "
            "reinterpretAsInt64(price), toInt64(volume), if(order_id = '', cityHash64(trade_uid), "
            "cityHash64(account_id, trade_date, code, order_type, order_id)), "
            f"source = %(assumed)s FROM trade FINAL WHERE {where} {_SETTINGS}",
            {
                name: value if isinstance(value, date) else tuple(value)
                for name, value in given.items()
            }
            | {"assumed": ASSUMED},
            columnar=True,
        )
    if not columns:
        return AccountFills([], Fills.none())
    accounts, codes_, day, at, is_buy, price, volume, order, is_assumed = columns
    names = codes_.categories.tolist()
    group = accounts.codes.astype(np.int64) * len(names) + codes_.codes
    owners = [owner for owner in accounts.categories.tolist() for _name in names]
    flags = is_buy.astype(bool), is_assumed.astype(bool)
    labels = names * len(accounts.categories)
    fills = Fills(labels, group, day, at, flags[0], price, volume, order, flags[1])
    return AccountFills(owners, fills)


def read_code_fills(account_id: str, code: str) -> list[Fill]:
    """Return every fill of one code in one account."""
    with leased() as client:
        rows = client.execute(
            "SELECT toString(trade_uid), toUnixTimestamp64Milli(traded_at), "  # noqa: S608
            "order_type = 'buy_trade', price, volume, source FROM trade FINAL WHERE "
            f"account_id = %(account_id)s AND code = %(code)s AND {_FILL_CONDITIONS['fills']} "
            f"{_SETTINGS}",
            {"account_id": account_id, "code": code},
        )
    return [
        Fill(uid, _moment(at), bool(is_buy), price, volume, source)
        for uid, at, is_buy, price, volume, source in rows
    ]


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, clock.SHANGHAI)


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
