"""Whole rows of the ClickHouse tables, to be written elsewhere and put back as they were.

A batch is a column-wise block of rows with everything that is stored, `ingested_at` and `version`
included, so that a copy wins and loses against other rows as the original did. Each row has a
hash made by the server; their sum tells whether two tables hold the same rows, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from django.conf import settings

from trades_app import bar_cache
from trades_app.connection import leased
from trades_app.schema import ADJUST_FACTOR, DAILY_KLINE, TRADE, Table

BATCH_ROWS: Final = 100_000
_SETTINGS: Final = "SETTINGS do_not_merge_across_partitions_select_final = 1"


@dataclass(frozen=True, slots=True)
class Copied:
    """Columns of a table in the order of an insert, each with what selects it."""

    table: Table
    columns: dict[str, str]
    # The beginning of the sorting key: what has one value in a batch, and what has a range.
    within: tuple[str, ...]
    range: str
    order: str
    # Of clickhouse-driver; arrays of plain numbers, where every column can be one.
    numpy: bool = False

    @property
    def row_hash(self) -> str:
        return f"cityHash64({', '.join(self.columns)})"


_PLAIN_TRADE = ("name", "strategy_name", "remark", "order_id", "trade_id", "source")
TRADES: Final = Copied(
    TRADE,
    {
        "trade_uid": "toString(trade_uid)",
        "account_id": "toString(account_id)",
        "trade_date": "trade_date",
        "traded_at": "toUnixTimestamp64Milli(traded_at)",
        "code": "toString(code)",
        **{name: f"toString({name})" for name in _PLAIN_TRADE},
        "order_type": "toString(order_type)",
        "price_type": "toString(price_type)",
        "price": "price",
        "volume": "volume",
        "amount": "amount",
        "ingested_at": "toUnixTimestamp64Micro(ingested_at)",
    },
    within=("account_id",),
    range="trade_date",
    order="account_id, trade_date, code, trade_uid",
)
KLINES: Final = Copied(
    DAILY_KLINE,
    {
        "adjust": "toString(adjust)",
        "code": "toString(code)",
        "trade_date": "trade_date",
        **{f"{name}_ticks": f"{name}_ticks" for name in ("open", "high", "low", "close")},
        "volume": "volume",
        "amount_fen": "amount_fen",
        "source": "toString(source)",
        "version": "version",
    },
    within=("adjust",),
    range="code",
    order="adjust, code, trade_date",
    numpy=True,
)
FACTORS: Final = Copied(
    ADJUST_FACTOR,
    {
        "code": "toString(code)",
        "ex_date": "ex_date",
        "factor": "factor",
        "source": "toString(source)",
        "version": "version",
    },
    within=(),
    range="code",
    order="code, ex_date",
)


@dataclass(frozen=True, slots=True)
class Batch:
    columns: list[Any]
    content: int

    def __len__(self) -> int:
        return len(self.columns[0])


def read_batches(wanted: Copied, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """Yield every row once, whatever copies of it stand; a key is never cut in two."""
    selected = ", ".join(wanted.columns.values())
    clauses = [f"{name} = %({name})s" for name in wanted.within]
    clauses.append(f"{wanted.range} BETWEEN %(first)s AND %(last)s")
    query = (
        f"SELECT {selected}, {wanted.row_hash} FROM {wanted.table.name} FINAL "  # noqa: S608
        f"WHERE {' AND '.join(clauses)} ORDER BY {wanted.order} {_SETTINGS}"
    )
    for span in _spans(wanted, batch_rows):
        with leased(numpy=wanted.numpy) as client:
            columns = client.execute(query, span, columnar=True)
        if columns:
            *rows, hashes = columns
            yield Batch(rows, _sum(hashes))


def _spans(wanted: Copied, batch_rows: int) -> Iterator[dict[str, Any]]:
    """Yield the parameters that select neighbours which make a batch together."""
    keys = ", ".join((*wanted.within, wanted.range))
    with leased() as client:
        found = client.execute(
            f"SELECT {keys}, count() FROM {wanted.table.name} "  # noqa: S608 - constants only
            f"GROUP BY {keys} ORDER BY {keys}"
        )
    span: dict[str, Any] | None = None
    rows = 0
    for *within, place, count in found:
        fixed = dict(zip(wanted.within, within, strict=True))
        is_other = span is None or any(span[name] != fixed[name] for name in fixed)
        if span is None or is_other or rows + count > batch_rows:
            if span is not None:
                yield span
            span, rows = {**fixed, "first": place}, 0
        span["last"] = place
        rows += count
    if span is not None:
        yield span


def insert(wanted: Copied, columns: Sequence[Any]) -> None:
    """Insert rows given as the columns of a batch."""
    names = ", ".join(wanted.columns)
    with bar_cache.changing_bars(), leased(numpy=wanted.numpy) as client:
        client.execute(f"INSERT INTO {wanted.table.name} ({names}) VALUES", columns, columnar=True)


def summarise(wanted: Copied) -> tuple[int, int]:
    """Return how many rows stand and the sum of their hashes."""
    with leased() as client:
        ((rows, content),) = client.execute(
            f"SELECT count(), sum({wanted.row_hash}) "  # noqa: S608 - constants only
            f"FROM {wanted.table.name} FINAL {_SETTINGS}"
        )
    return rows, content


def count(wanted: Copied) -> int:
    """Return how many rows are stored, older copies of a row that still stand included."""
    with leased() as client:
        ((rows,),) = client.execute(
            f"SELECT count() FROM {wanted.table.name}"  # noqa: S608 - constants only
        )
    return int(rows)


def occupied() -> dict[str, int]:
    """Return the tables that hold rows, and how many."""
    counts = {one.table.name: count(one) for one in (TRADES, KLINES, FACTORS)}
    return {name: rows for name, rows in counts.items() if rows}


def empty(wanted: Copied) -> None:
    name, cluster = wanted.table.name, settings.CLICKHOUSE_CLUSTER
    where = f"{name}_local ON CLUSTER '{cluster}'" if cluster else name
    with bar_cache.changing_bars(), leased() as client:
        client.execute(f"TRUNCATE TABLE {where}")


def _sum(hashes: Any) -> int:
    return int(np.asarray(hashes, dtype=np.uint64).sum(dtype=np.uint64))


def trade_accounts() -> list[str]:
    with leased() as client:
        rows = client.execute("SELECT DISTINCT toString(account_id) FROM trade ORDER BY 1")
    return [account for (account,) in rows]


def trade_months(account_id: str) -> list[date]:
    """Return the first day of each month with trades of an account, oldest first."""
    with leased() as client:
        rows = client.execute(
            "SELECT DISTINCT toStartOfMonth(trade_date) FROM trade "
            "WHERE account_id = %(account_id)s ORDER BY 1",
            {"account_id": account_id},
        )
    return [month for (month,) in rows]
