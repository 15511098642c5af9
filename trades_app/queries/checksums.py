"""Sums and checksums of trades and bars, computed where they stand; see `trades_app.checksums`.

What another store computes over its own rows is equal exactly when its rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trades_app.checksums import SEPARATOR, DaySum
from trades_app.connection import leased
from trades_app.queries.trades import FOUND_COLUMNS

_SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
# In the order of `storage_app.verify.trade_rows`.
_TRADE_TEXT = (
    f"concatWithSeparator('{SEPARATOR}', toString(trade_uid), toString(trade_date), "
    "toString(toUnixTimestamp64Milli(traded_at)), toString(code), toString(name), "
    "toString(order_type), toString(price_type), toString(reinterpretAsInt64(price)), "
    "toString(volume), toString(strategy_name), remark, order_id, trade_id)"
)
# In the order of `trades_app.checksums.bar_hashes`.
_BAR_COLUMNS = (
    "open_ticks",
    "high_ticks",
    "low_ticks",
    "close_ticks",
    "toInt64(volume)",
    "amount_fen",
)


def bar_hash() -> str:
    """Return the expression of a bar's hash; see `trades_app.checksums.bar_hashes`."""
    hashed = "intHash64(toUInt64(toYYYYMMDD(trade_date)))"
    for column in _BAR_COLUMNS:
        hashed = f"intHash64(bitXor({hashed}, reinterpretAsUInt64(toInt64({column}))))"
    return hashed


@dataclass(frozen=True, slots=True)
class BarSum:
    """What the bars of a code come to; `newer` are the days (YYYYMMDD) left out as too new."""

    rows: int
    first: int
    last: int
    checksum: int
    newer: tuple[int, ...] = ()


def list_accounts() -> list[str]:
    """Return the account numbers that have trades."""
    with leased() as client:
        rows = client.execute("SELECT DISTINCT toString(account_id) FROM trade")
    return sorted(number for (number,) in rows)


def sum_days(
    account_id: str, start: date | None = None, end: date | None = None
) -> dict[date, DaySum]:
    """Return the sums of each trading date of an account that has trades."""
    bounds = _bounds(start, end)
    with leased() as client:
        rows = client.execute(
            "SELECT trade_date, count(), sum(volume), toInt64(sum(amount) * 1000), "  # noqa: S608
            f"sum(halfMD5({_TRADE_TEXT})) FROM trade FINAL "
            f"WHERE account_id = %(account_id)s{bounds} GROUP BY trade_date {_SETTINGS}",
            {"account_id": account_id, "start": start, "end": end},
        )
    return {day: DaySum(*values) for day, *values in rows}


def read_days(account_id: str, days: Sequence[date]) -> list[dict[str, Any]]:
    """Return the rows of some trading dates, as FOUND_COLUMNS by name."""
    columns = ("toString(trade_uid)", *FOUND_COLUMNS[1:])
    with leased() as client:
        rows = client.execute(
            f"SELECT {', '.join(columns)} FROM trade FINAL "  # noqa: S608 - constants only
            f"WHERE account_id = %(account_id)s AND trade_date IN %(days)s {_SETTINGS}",
            {"account_id": account_id, "days": tuple(days)},
        )
    return [dict(zip(FOUND_COLUMNS, row, strict=True)) for row in rows]


def sum_bars(
    adjust: str,
    versions: Mapping[str, int],
    start: date | None = None,
    end: date | None = None,
) -> dict[str, BarSum]:
    """Return the sums of codes, each up to a version; codes without rows are left out."""
    known = "version <= transform(toString(code), %(codes)s, %(versions)s, toUInt64(0))"
    with leased() as client:
        rows = client.execute(
            f"SELECT toString(code), countIf(known), minIf(day, known), "  # noqa: S608
            "maxIf(day, known), sumIf(hash, known), groupArrayIf(day, NOT known) FROM ("
            f"SELECT code, toYYYYMMDD(trade_date) AS day, {known} AS known, {bar_hash()} AS hash "
            "FROM daily_kline FINAL WHERE adjust = %(adjust)s AND code IN %(codes)s"
            f"{_bounds(start, end)}) GROUP BY code {_SETTINGS}",
            {
                "adjust": adjust,
                "codes": list(versions),
                "versions": list(versions.values()),
                "start": start,
                "end": end,
            },
        )
    return {
        code: BarSum(count, first, last, checksum, tuple(newer))
        for code, count, first, last, checksum, newer in rows
    }


def _bounds(start: date | None, end: date | None) -> str:
    lower = "" if start is None else " AND trade_date >= %(start)s"
    return lower + ("" if end is None else " AND trade_date <= %(end)s")
