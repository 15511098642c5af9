from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import make_bars
from trades_app import quality


def rounded(value, scale):
    return int((Decimal(repr(value)) * scale).quantize(Decimal(1), ROUND_HALF_UP))


@given(st.lists(st.floats(-999_999, 999_999, allow_subnormal=False)), st.sampled_from([100, 1000]))
def test_floats_are_rounded_as_people_read_them(values, scale):
    found = quality.scaled(np.array(values, dtype=np.float64), scale)
    assert found.tolist() == [rounded(value, scale) for value in values]


@given(st.lists(st.integers(-(10**9), 10**9)))
def test_halves_go_away_from_zero_and_never_to_even(thousandths):
    values = [number / 10_000 for number in thousandths]
    found = quality.scaled(np.array(values, dtype=np.float64), 1000)
    assert found.tolist() == [rounded(value, 1000) for value in values]


def test_columns_of_other_kinds_are_read():
    bars = make_bars(days=3)
    spelt = bars.astype({"close": object, "volume": float, "code": "category"})
    spelt["datetime"] = pd.to_datetime(spelt["datetime"].astype(str))
    spelt["close"] = [Decimal(str(price)) for price in bars["close"]]
    one, two = quality.check_bars(bars), quality.check_bars(spelt)
    for name in ("code", "day", "close", "volume"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()


def test_text_in_a_price_is_named():
    bars = make_bars(days=3).astype({"close": object})
    bars.loc[1, "close"] = "停牌"
    with pytest.raises(quality.InvalidBars, match=r"row 2 .*close 停牌 is not a finite number"):
        quality.check_bars(bars)
