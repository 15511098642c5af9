"""Reads of daily bars and adjust factors: integers over the wire, frames in the hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from trades_app.bar_frames import code_frame, empty_frame, empty_market_frame, market_frame
from trades_app.connection import leased

# A year is a partition and no bar lives in two, so FINAL need not merge across them.
_SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
_COLUMNS = (
    "toYYYYMMDD(trade_date), open_ticks, high_ticks, low_ticks, close_ticks, volume, amount_fen"
)
_FIRST_DAY = date(1970, 1, 1)
_LAST_DAY = date(2149, 6, 6)


def read_bars(
    adjust: str,
    codes: Sequence[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    *,
    answer_timeout: float | None = None,
) -> pd.DataFrame:
    """Return `code` (categorical) and BAR_COLUMNS by code and date; `codes` None means all."""
    clauses = ["adjust = %(adjust)s", *_bounds(start, end)]
    if codes is not None:
        clauses.append("code IN %(codes)s")
    with leased(numpy=True, answer_timeout=answer_timeout) as client:
        columns = client.execute(
            f"SELECT code, {_COLUMNS} FROM daily_kline FINAL "  # noqa: S608 - constants only
            f"WHERE {' AND '.join(clauses)} {_SETTINGS}",
            {"adjust": adjust, "codes": tuple(codes or ()), "start": start, "end": end},
            columnar=True,
        )
    return market_frame(columns[0], columns[1:]) if columns else empty_market_frame()


def read_code_bars(
    adjust: str,
    code: str,
    start: date | None = None,
    end: date | None = None,
    *,
    answer_timeout: float | None = None,
) -> pd.DataFrame:
    """Return BAR_COLUMNS of one code by date."""
    clauses = ["adjust = %(adjust)s", "code = %(code)s", *_bounds(start, end)]
    with leased(numpy=True, answer_timeout=answer_timeout) as client:
        columns = client.execute(
            f"SELECT {_COLUMNS} FROM daily_kline FINAL "  # noqa: S608 - constants only
            f"WHERE {' AND '.join(clauses)} ORDER BY trade_date {_SETTINGS}",
            {"adjust": adjust, "code": code, "start": start, "end": end},
            columnar=True,
        )
    return code_frame(columns) if columns else empty_frame()


def read_last_bars(
    adjust: str,
    codes: Sequence[str],
    end: date | None,
    days: int,
    *,
    answer_timeout: float | None = None,
) -> pd.DataFrame:
    """Return up to `days` newest rows of each code, whatever their dates, by code and date."""
    clauses = ["adjust = %(adjust)s", "code IN %(codes)s", *_bounds(None, end)]
    with leased(numpy=True, answer_timeout=answer_timeout) as client:
        columns = client.execute(
            f"SELECT code, {_COLUMNS} FROM daily_kline FINAL "  # noqa: S608 - constants only
            f"WHERE {' AND '.join(clauses)} "
            f"ORDER BY code, trade_date DESC LIMIT %(days)s BY code {_SETTINGS}",
            {"adjust": adjust, "codes": tuple(codes), "end": end, "days": days},
            columnar=True,
        )
    return market_frame(columns[0], columns[1:]) if columns else empty_market_frame()


def read_span(*, answer_timeout: float | None = None) -> tuple[date, date] | None:
    """Return the oldest and the newest date of all bars (from metadata, no scan)."""
    with leased(answer_timeout=answer_timeout) as client:
        ((rows, first, last),) = client.execute(
            "SELECT count(), min(trade_date), max(trade_date) FROM daily_kline"
        )
    return (first, last) if rows else None


def read_factors(
    codes: Sequence[str] | None, *, answer_timeout: float | None = None
) -> pd.DataFrame:
    """Return `code`, `ex_date` (int YYYYMMDD) and `factor` (float), by code and ex-date."""
    where = "" if codes is None else "WHERE code IN %(codes)s"
    with leased(answer_timeout=answer_timeout) as client:
        columns = client.execute(
            "SELECT toString(code), toYYYYMMDD(ex_date), toFloat64(factor) "  # noqa: S608
            f"FROM adjust_factor FINAL {where} ORDER BY code, ex_date",
            {"codes": tuple(codes or ())},
            columnar=True,
        )
    names = ("code", "ex_date", "factor")
    return pd.DataFrame(dict(zip(names, columns or ([], [], []), strict=True)))


def read_fingerprints() -> dict[str, dict[str, tuple[int, int, int]]]:
    """Return what tells whether bars have changed: `{adjust: {code: (days, newest, version)}}`.

    `newest` is YYYYMMDD. A day that was written twice counts once, merged or not.
    """
    return _fingerprints(
        "SELECT adjust, code, uniqExact(trade_date), toYYYYMMDD(max(trade_date)), max(version) "
        "FROM daily_kline GROUP BY adjust, code ORDER BY adjust, code"
    )


def read_factor_fingerprints() -> dict[str, tuple[int, int, int]]:
    """Return the same of adjust factors, `{code: (days, newest, version)}`."""
    found = _fingerprints(
        "SELECT '', toString(code), uniqExact(ex_date), toYYYYMMDD(max(ex_date)), max(version) "
        "FROM adjust_factor GROUP BY code ORDER BY code"
    )
    return found.get("", {})


def _fingerprints(query: str) -> dict[str, dict[str, tuple[int, int, int]]]:
    with leased() as client:
        rows = client.execute(query)
    found: dict[str, dict[str, tuple[int, int, int]]] = {}
    for adjust, code, days, newest, version in rows:
        found.setdefault(adjust, {})[code] = (days, newest, version)
    return found


def _bounds(start: date | None, end: date | None) -> list[str]:
    bounds = []
    if start is not None:
        bounds.append("trade_date >= %(start)s")
    if end is not None:
        bounds.append("trade_date <= %(end)s")
    return bounds
