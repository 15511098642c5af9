from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trades_app.market import adjust

DATES = [20240102, 20240103, 20240104, 20240105, 20240108, 20240109, 20240110, 20240111]
FACTORS = st.dictionaries(
    st.sampled_from(DATES), st.floats(0.01, 100, allow_subnormal=False), max_size=5
)


def make_bars(closes=None):
    closes = np.array(closes if closes is not None else np.linspace(10, 20, len(DATES)))
    return pd.DataFrame(
        {
            "datetime": DATES[: len(closes)],
            "open": closes - 0.1,
            "high": closes + 0.2,
            "low": closes - 0.2,
            "close": closes,
            "volume": 1000.0,
            "amount": closes * 1000,
        }
    )


def make_factors(factors):
    return pd.DataFrame({"ex_date": list(factors), "factor": list(factors.values())})


def test_ten_for_ten_bonus_halves_the_price_without_a_loss():
    bars = make_bars([20.0, 20.0, 10.0, 10.5])
    factors = make_factors({20240104: 2.0})
    assert adjust.forward(bars, factors)["close"].tolist() == [20.0, 20.0, 20.0, 21.0]
    backward = adjust.backward(bars, factors, anchor=20240105)
    assert backward["close"].tolist() == [10.0, 10.0, 10.0, 10.5]


def test_anchor_before_the_ex_date_keeps_the_old_prices():
    bars = make_bars([20.0, 20.0, 10.0, 10.5])
    backward = adjust.backward(bars, make_factors({20240104: 2.0}), anchor=20240103)
    assert backward["close"].tolist() == [20.0, 20.0, 20.0, 21.0]


def test_volume_and_amount_stay_as_traded():
    bars = make_bars()
    adjusted = adjust.forward(bars, make_factors({20240104: 2.0}))
    pd.testing.assert_frame_equal(
        adjusted[["datetime", "volume", "amount"]], bars[["datetime", "volume", "amount"]]
    )
    assert bars["close"].iloc[-1] == 20.0


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_factor_that_is_no_ratio_is_refused(factor):
    with pytest.raises(ValueError, match="above 0"):
        adjust.forward(make_bars(), make_factors({20240104: factor}))


def test_two_factors_of_one_ex_date_are_refused():
    factors = pd.DataFrame({"ex_date": [20240104, 20240104], "factor": [1.1, 1.2]})
    with pytest.raises(ValueError, match="two rows"):
        adjust.forward(make_bars(), factors)


@given(FACTORS)
def test_forward_and_backward_differ_by_one_constant(factors):
    bars = make_bars()
    forward = adjust.forward(bars, make_factors(factors))[adjust.PRICES]
    backward = adjust.backward(bars, make_factors(factors), anchor=DATES[-1])[adjust.PRICES]
    ratio = (forward / backward).to_numpy()
    assert np.allclose(ratio, ratio[0, 0])


@given(FACTORS, st.sampled_from(DATES))
def test_prices_of_the_anchor_are_those_that_were_traded(factors, anchor):
    bars = make_bars()
    backward = adjust.backward(bars, make_factors(factors), anchor)
    at_anchor = bars["datetime"] == anchor
    assert np.allclose(backward[at_anchor][adjust.PRICES], bars[at_anchor][adjust.PRICES])


@given(FACTORS)
def test_returns_between_ex_dates_are_untouched(factors):
    bars = make_bars()
    adjusted = adjust.forward(bars, make_factors(factors))
    returns = adjusted["close"].pct_change() - bars["close"].pct_change()
    quiet = ~bars["datetime"].isin(list(factors)) & returns.notna()
    assert np.allclose(returns[quiet], 0)


@given(FACTORS, st.integers(0, len(DATES) - 1))
def test_window_gives_the_same_prices_as_the_whole_series(factors, start):
    bars = make_bars()
    table = make_factors(factors)
    whole = adjust.backward(bars, table, anchor=DATES[-1]).iloc[start:]
    window = adjust.backward(bars.iloc[start:], table, anchor=DATES[-1])
    pd.testing.assert_frame_equal(whole, window)


@given(FACTORS)
def test_order_of_the_factor_rows_does_not_matter(factors):
    table = make_factors(factors)
    pd.testing.assert_frame_equal(
        adjust.forward(make_bars(), table), adjust.forward(make_bars(), table.iloc[::-1])
    )
