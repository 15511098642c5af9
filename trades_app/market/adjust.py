"""Adjusted prices (复权) derived from raw bars and cumulative factors, by the ratio method.

A factor holds from its ex-date on: 1 before the first, and each later one is the product of all
`previous close / theoretical ex-rights price` so far (后复权因子). Adjusted prices are not
rounded, so that returns computed from them are exact; volume and amount stay as traded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

PRICES = ["open", "high", "low", "close"]


def factors_on(dates: npt.NDArray[np.int64], factors: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the factor that holds on each date (int YYYYMMDD).

    `factors` has `ex_date` (int YYYYMMDD) and `factor` (cumulative, above 0), in any order.
    """
    ordered = factors.sort_values("ex_date")
    ex_dates = ordered["ex_date"].to_numpy(dtype=np.int64)
    values = ordered["factor"].to_numpy(dtype=np.float64)
    if (values <= 0).any() or not np.isfinite(values).all():
        raise ValueError("adjust factors must be finite and above 0")
    if len(np.unique(ex_dates)) != len(ex_dates):
        raise ValueError("adjust factors have two rows for one ex-date")
    return np.concatenate(([1.0], values))[np.searchsorted(ex_dates, dates, side="right")]


def forward(bars: pd.DataFrame, factors: pd.DataFrame) -> pd.DataFrame:
    """Return 后复权 bars of one code: the first prices stay, later ones grow."""
    return _scaled(bars, factors_on(_dates(bars), factors))


def backward(bars: pd.DataFrame, factors: pd.DataFrame, anchor: int) -> pd.DataFrame:
    """Return 前复权 bars of one code: prices of the date `anchor` (int YYYYMMDD) stay.

    Dates after the anchor are adjusted too. The same anchor gives the same prices whatever
    window is asked for; a moving anchor re-bases all of them after each ex-date.
    """
    at_anchor = factors_on(np.array([anchor], dtype=np.int64), factors)[0]
    return _scaled(bars, factors_on(_dates(bars), factors) / at_anchor)


def _dates(bars: pd.DataFrame) -> npt.NDArray[np.int64]:
    return bars["datetime"].to_numpy(dtype=np.int64)


def _scaled(bars: pd.DataFrame, ratios: npt.NDArray[np.float64]) -> pd.DataFrame:
    prices = bars[PRICES].to_numpy(dtype=np.float64) * ratios[:, np.newaxis]
    return bars.assign(**dict(zip(PRICES, prices.T, strict=True)))
