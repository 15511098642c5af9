"""What only the whole table of bars can tell: days, sources and codes that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trades_app.connection import leased
from trades_app.queries.checksums import bar_hash

_VALUES = "open_ticks, high_ticks, low_ticks, close_ticks, volume, amount_fen"
# Fewer equal bars may be chance: funds and bonds that hardly trade.
_LEAST_TWIN_BARS = 20


def count_codes(adjust: str, start: date | None, end: date | None) -> list[tuple[int, int]]:
    """Return `(YYYYMMDD, codes)` of each day with bars, oldest first."""
    with leased() as client:
        rows: list[tuple[int, int]] = client.execute(
            "SELECT toYYYYMMDD(trade_date) AS day, uniqExact(code) FROM daily_kline "
            "WHERE adjust = %(adjust)s AND trade_date BETWEEN %(start)s AND %(end)s "
            "GROUP BY day ORDER BY day",
            {"adjust": adjust, "start": start or date(1970, 1, 1), "end": end or date(2149, 6, 6)},
        )
    return rows


def find_source_conflicts(
    adjust: str, codes: Sequence[str]
) -> list[tuple[str, int, int, int, list[str]]]:
    """Return code, days, first and last day, and sources where copies of a bar differ.

    The newest copy is the one that reads show; older ones are seen until the table merges them.
    """
    with leased() as client:
        rows: list[tuple[str, int, int, int, list[str]]] = client.execute(
            "SELECT toString(code), count(), min(day), max(day), "  # noqa: S608 - constants only
            "arraySort(groupUniqArrayArray(sources)) FROM ("
            "SELECT code, toYYYYMMDD(trade_date) AS day, "
            "groupUniqArray(toString(source)) AS sources "
            "FROM daily_kline WHERE adjust = %(adjust)s AND code IN %(codes)s "
            f"GROUP BY code, trade_date HAVING length(sources) > 1 AND uniqExact({_VALUES}) > 1"
            ") GROUP BY code ORDER BY code",
            {"adjust": adjust, "codes": tuple(codes)},
        )
    return rows


def find_twins(adjust: str) -> list[tuple[int, int, int, list[str]]]:
    """Return bars, first and last day, and codes that have exactly the same bars."""
    with leased() as client:
        rows: list[tuple[int, int, int, list[str]]] = client.execute(
            "SELECT bars, any(first), any(last), arraySort(groupArray(name)) AS names "  # noqa: S608
            "FROM (SELECT toString(code) AS name, count() AS bars, "
            f"sum({bar_hash()}) AS checksum, toYYYYMMDD(min(trade_date)) AS first, "
            "toYYYYMMDD(max(trade_date)) AS last FROM daily_kline FINAL "
            "WHERE adjust = %(adjust)s AND volume > 0 GROUP BY code HAVING bars >= %(least)s) "
            "GROUP BY bars, checksum HAVING length(names) > 1 "
            "SETTINGS do_not_merge_across_partitions_select_final = 1",
            {"adjust": adjust, "least": _LEAST_TWIN_BARS},
        )
    return rows
