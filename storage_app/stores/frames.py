"""Frames that callers hand in, checked for every bar backend."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from storage_app.contract.arguments import parse_code, parse_date, parse_money
from storage_app.contract.errors import InvalidInput
from trades_app import quality

FACTOR_COLUMNS = ("code", "ex_date", "factor")
_FACTOR_STEP = Decimal("0.000000001")


def checked_bars(frame: pd.DataFrame) -> quality.Bars:
    """Return the bars as whole numbers; InvalidInput names the first row refused."""
    try:
        return quality.check_bars(frame)
    except quality.InvalidBars as exc:
        raise InvalidInput(str(exc)) from exc


def checked_factors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return FACTOR_COLUMNS with canonical codes, dates and Decimal factors above 0."""
    missing = [name for name in FACTOR_COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidInput(f"adjust factors lack the column {', '.join(missing)}")
    rows = [_checked_factor(*row) for row in frame[list(FACTOR_COLUMNS)].itertuples(index=False)]
    return pd.DataFrame(rows, columns=list(FACTOR_COLUMNS), dtype=object)


def _checked_factor(code: str, ex_date: object, factor: object) -> tuple[object, ...]:
    value = parse_money(str(factor)).quantize(_FACTOR_STEP)
    if value <= 0:
        raise InvalidInput(f"{code} {ex_date}: factor {factor!r} must be above 0")
    return parse_code(code), parse_date(str(ex_date)), value
