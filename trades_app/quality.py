"""Daily bars checked and turned into whole numbers, a column at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trades_app.market import clock, codes

PRICES = ("open", "high", "low", "close")
COLUMNS = ("code", "datetime", *PRICES, "volume", "amount")
TICKS_PER_YUAN = 1000
FEN_PER_YUAN = 100
# Decimal(9, 3) and Decimal(18, 2), as readers see prices and amounts.
_MOST_TICKS = 10**9
_MOST_FEN = 10**15
# How far from whole a product must be for its decimal spelling to decide.
_NEARLY_HALF = 0.49

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class InvalidBars(ValueError):
    """A row that no store accepts; the message names the row, its column and its value."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars as columns: `code` object, `day` datetime64[D], prices in ticks, amounts in fen."""

    code: npt.NDArray[np.object_]
    day: npt.NDArray[np.datetime64]
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    amount: Integers

    def __len__(self) -> int:
        return len(self.day)


def check_bars(frame: pd.DataFrame) -> Bars:
    """Return the bars of a frame with COLUMNS; InvalidBars names the first row refused.

    Codes of any spelling are made canonical, prices are rounded half up to 0.001 yuan and
    amounts to 0.01. Volume 0 (a suspended day) and prices of 0 or less (adjusted backward over
    years) are legal.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidBars(f"bars lack the column {', '.join(missing)}")
    numbers = {name: _numbers(frame, name) for name in (*PRICES, "volume", "amount")}
    _refuse(frame, numbers["high"] < numbers["low"], "high", "is below low")
    return Bars(
        code=_codes(frame),
        day=_days(frame),
        **{name: _price(frame, name, numbers[name]) for name in PRICES},
        volume=_volume(frame, numbers["volume"]),
        amount=_amount(frame, numbers["amount"]),
    )


def _price(frame: pd.DataFrame, name: str, values: npt.NDArray[np.float64]) -> Integers:
    ticks = scaled(values, TICKS_PER_YUAN)
    _refuse(frame, np.abs(ticks) >= _MOST_TICKS, name, "is beyond 999999.999")
    return ticks


def _amount(frame: pd.DataFrame, values: npt.NDArray[np.float64]) -> Integers:
    _refuse(frame, (values < 0) | (values * FEN_PER_YUAN >= _MOST_FEN), "amount", "is out of range")
    return scaled(values, FEN_PER_YUAN)


def _volume(frame: pd.DataFrame, values: npt.NDArray[np.float64]) -> Integers:
    whole = np.rint(values)
    _refuse(frame, (values < 0) | (np.abs(values - whole) > 1e-6), "volume", "is not whole shares")
    return whole.astype(np.int64)


def scaled(values: npt.NDArray[np.float64], scale: int) -> Integers:
    """Return `values * scale` as whole numbers, rounded half up (away from 0) in decimal.

    A float is taken as people read it: 2.0005 is a half, whatever its binary neighbour says.
    """
    product = values * scale
    nearest = np.rint(product)
    halves = np.flatnonzero(np.abs(product - nearest) > _NEARLY_HALF)
    whole = nearest.astype(np.int64)
    for place in halves:
        exact = Decimal(repr(float(values[place]))) * scale
        whole[place] = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    return whole


def _numbers(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    try:
        values = frame[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        parsed = pd.to_numeric(frame[name], errors="coerce")
        values = parsed.to_numpy(dtype=np.float64)
    _refuse(frame, ~np.isfinite(values), name, "is not a finite number")
    return values


def _codes(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    return np.asarray(_parsed(frame, "code", codes.parse_code, object), dtype=object)


def _days(frame: pd.DataFrame) -> npt.NDArray[np.datetime64]:
    return np.asarray(_parsed(frame, "datetime", _day, "datetime64[D]"))


def _parsed(frame: pd.DataFrame, name: str, parse: Callable[[Any], Any], kind: Any) -> Any:
    """Return the column parsed; each spelling is parsed once."""
    places, spellings = pd.factorize(frame[name])
    _refuse(frame, places < 0, name, "is missing")
    parsed = np.empty(len(spellings), dtype=kind)
    for index, spelling in enumerate(spellings):
        try:
            parsed[index] = parse(spelling)
        except ValueError as exc:
            raise _row_error(frame, int(np.argmax(places == index)), str(exc)) from exc
    return parsed[places]


def _day(value: Any) -> date:
    if isinstance(value, pd.Timestamp):
        return value.date()
    if not isinstance(value, int | float | np.number):
        return clock.parse_date(value)
    number = int(value)
    try:
        # A whole market has thousands of dates, and strptime takes a second for them.
        return date(number // 10000, number // 100 % 100, number % 100)
    except ValueError:
        return clock.parse_date(number)


def _refuse(frame: pd.DataFrame, wrong: Mask, name: str, why: str) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise _row_error(frame, place, f"{name} {frame.iloc[place][name]} {why}")


def _row_error(frame: pd.DataFrame, place: int, why: str) -> InvalidBars:
    row = frame.iloc[place]
    return InvalidBars(f"row {place + 1} ({row['code']} {row['datetime']}): {why}")
