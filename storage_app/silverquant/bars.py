"""Daily bars in the shape that strategies know: int dates, float prices, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import MAX_BATCH_CODES
from storage_app.silverquant import registry

if TYPE_CHECKING:
    import pandas as pd

SHARES_PER_LOT: Final = 100
_UNITS: Final = {"share": 1, "lot": SHARES_PER_LOT}


def get_kline(
    code: str,
    days: int = 60,
    *,
    adjust: str = "none",
    columns: Sequence[str] | None = None,
    unit: str = "share",
) -> pd.DataFrame:
    """Return the last `days` bars of a code; empty with the columns if there are none.

    Columns are datetime (int YYYYMMDD), open, high, low, close, volume, amount. `adjust` is
    none, qfq (前复权) or hfq; `unit` is share or lot (手), in which several sources count.
    """
    frame = registry.store().get_kline(code, days=days, adjust=adjust)
    return _shaped(frame, columns, unit)


def get_history(
    codes: Sequence[str],
    days: int = 60,
    *,
    adjust: str = "none",
    columns: Sequence[str] | None = None,
    unit: str = "share",
) -> dict[str, pd.DataFrame]:
    """Return a frame per code that has bars, as `cache_history` of a subscriber holds them."""
    frames: dict[str, pd.DataFrame] = {}
    for start in range(0, len(codes), MAX_BATCH_CODES):
        part = list(codes[start : start + MAX_BATCH_CODES])
        frames |= registry.store().batch_get_kline(part, days=days, adjust=adjust)
    return {
        code: _shaped(frame, columns, unit) for code, frame in frames.items() if not frame.empty
    }


def _shaped(frame: pd.DataFrame, columns: Sequence[str] | None, unit: str) -> pd.DataFrame:
    if unit not in _UNITS:
        raise InvalidInput(f"unit {unit!r} is not one of {', '.join(_UNITS)}")
    if _UNITS[unit] > 1:
        frame = frame.assign(volume=frame["volume"] // _UNITS[unit])
    return frame if columns is None else frame[list(columns)].copy()
