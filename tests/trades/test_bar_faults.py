"""Each fault of daily bars is found once, in the code and on the days that have it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.factories import make_bars
from trades_app.bar_checks import Check, Severity
from trades_app.bar_faults import Market, find_faults, market_faults
from trades_app.market import calendar

START, END = date(2026, 2, 2), date(2026, 4, 30)


def days_between(start, end):
    return np.array([int(f"{day:%Y%m%d}") for day in calendar.trading_days(start, end)])


@pytest.fixture(scope="module")
def days():
    return days_between(START, END)


def bars_on(days, code="600000.SH", close=10.0):
    frame = make_bars(code, days=len(days)).assign(datetime=days)
    steps = np.arange(len(days)) % 5
    price = np.round(close + steps * 0.05, 2)
    return frame.assign(
        open=price, close=price, high=price + 0.1, low=price - 0.1, amount=price * frame["volume"]
    )


def faults_of(frame, days, series="none", factors=None, start=0):
    market = Market(days, days, start)
    return [
        (one.check, one.severity, one.code, one.first, one.last, one.count)
        for one in find_faults(frame, series, market, factors)
    ]


def changed(frame, at, **values):
    frame = frame.copy()
    for name, value in values.items():
        frame[name] = frame[name].astype(type(value)) if name != "volume" else frame[name]
        frame.loc[at, name] = value
    return frame


def test_good_bars_have_no_fault(days):
    both = pd.concat([bars_on(days), bars_on(days, "600036.SH", 41.0)], ignore_index=True)
    assert faults_of(both, days) == []


def test_suspended_days_with_volume_0_are_no_fault(days):
    frame = changed(bars_on(days), 7, volume=0, amount=0.0)
    frame.loc[7, ["open", "high", "low"]] = frame.loc[6, "close"]
    assert faults_of(frame, days) == []


@pytest.mark.parametrize(
    ("values", "check", "severity"),
    [
        ({"high": 9.0}, Check.RANGE, Severity.ERROR),
        ({"low": 11.0, "high": 11.0}, Check.RANGE, Severity.ERROR),
        ({"low": -1.0}, Check.PRICE, Severity.ERROR),
        ({"volume": 0}, Check.TURNOVER, Severity.ERROR),
        ({"amount": 0.0}, Check.TURNOVER, Severity.WARNING),
        ({"amount": 2_000_000.0}, Check.AVERAGE, Severity.WARNING),
        ({"amount": 100_000_000.0}, Check.LOTS, Severity.ERROR),
    ],
    ids=["high", "low", "negative", "amount without volume", "no amount", "average", "lots"],
)
def test_values_that_cannot_be(days, values, check, severity):
    frame = changed(bars_on(days), 10, **values)
    day = int(days[10])
    assert (check, severity, "600000.SH", day, day, 1) in faults_of(frame, days)


def test_an_index_has_no_average_price(days):
    frame = bars_on(days, "000001.SH", 3000.0).assign(amount=5e11)
    assert faults_of(frame, days) == []


def test_prices_of_an_adjusted_series_may_be_negative(days):
    frame = bars_on(days)
    for name in ("open", "high", "low", "close"):
        frame[name] -= 20
    assert faults_of(frame, days, series="qfq") == []
    assert faults_of(frame, days)[0][0] is Check.PRICE


def test_a_bar_of_a_closed_day(days):
    frame = bars_on(np.sort(np.r_[days, 20260307]))
    assert (Check.CLOSED_DAY, Severity.ERROR, "600000.SH", 20260307, 20260307, 1) in faults_of(
        frame, days
    )


def test_a_bar_that_repeats_the_one_before(days):
    frame = bars_on(days)
    frame.loc[12] = frame.loc[11].to_dict() | {"datetime": days[12]}
    day = int(days[12])
    assert faults_of(frame, days) == [(Check.COPY, Severity.WARNING, "600000.SH", day, day, 1)]


class TestGaps:
    def test_a_hole_is_a_warning_and_a_long_one_a_suspension(self, days):
        holes = np.r_[5, 6, np.arange(20, 30)]
        found = faults_of(bars_on(np.delete(days, holes)), days)
        assert found == [
            (Check.GAP, Severity.WARNING, "600000.SH", days[5], days[6], 2),
            (Check.SUSPENDED, Severity.INFO, "600000.SH", days[20], days[29], 10),
        ]

    def test_each_code_has_its_own(self, days):
        both = [
            bars_on(np.delete(days, at), code) for at, code in ((5, "600000.SH"), (9, "600036.SH"))
        ]
        found = faults_of(pd.concat(both, ignore_index=True), days)
        assert [(one[2], one[3]) for one in found] == [
            ("600000.SH", days[5]), ("600036.SH", days[9]),
        ]  # fmt: skip

    def test_holidays_and_days_without_any_bar_are_no_gap_of_a_code(self, days):
        without = np.delete(days, 8)
        market = Market(days, without)
        assert list(find_faults(bars_on(without), "none", market)) == []

    def test_bars_that_end_before_the_markets(self, days):
        (found,) = faults_of(bars_on(days[:-2]), days)
        assert found == (Check.ENDED, Severity.WARNING, "600000.SH", days[-2], days[-1], 2)
        assert faults_of(bars_on(days[:-9]), days)[0][1] is Severity.INFO

    def test_nothing_before_the_first_day_is_judged(self, days):
        frame = changed(bars_on(np.delete(days, 5)), 3, high=9.0)
        assert faults_of(frame, days, start=int(days[6])) == []
        assert len(faults_of(frame, days, start=int(days[5]))) == 1


class TestJumps:
    def split(self, days, at, by=2, code="600000.SH"):
        frame = bars_on(days, code)
        for name in ("open", "high", "low", "close"):
            frame.loc[at:, name] = (frame.loc[at:, name] / by).round(2)
        return frame.assign(
            amount=frame["close"] * frame["volume"],
            high=frame["close"] + 0.1,
            low=frame["close"] - 0.1,
        )

    def test_a_halved_price_without_a_reason(self, days):
        (found,) = faults_of(self.split(days, 15), days)
        assert found == (Check.JUMP, Severity.WARNING, "600000.SH", days[15], days[15], 1)

    def test_a_corporate_action_is_the_reason(self, days):
        factors = pd.DataFrame({"code": ["600000.SH"], "ex_date": [days[15]], "factor": [2.0]})
        assert faults_of(self.split(days, 15), days, factors=factors) == []
        other = factors.assign(code="600036.SH")
        assert len(faults_of(self.split(days, 15), days, factors=other)) == 1

    def test_after_a_suspension_it_is_a_remark(self, days):
        keep = np.r_[np.arange(10), np.arange(20, len(days))]
        found = faults_of(self.split(days[keep], 10), days)
        assert {(one[0], one[1]) for one in found} == {
            (Check.JUMP, Severity.INFO), (Check.SUSPENDED, Severity.INFO),
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("code", "is_beyond"),
        [("600000.SH", True), ("300059.SZ", False), ("688981.SH", False), ("430047.BJ", False)],
    )
    def test_boards_have_limits_of_their_own(self, days, code, is_beyond):
        found = faults_of(self.split(days, 15, by=1.19, code=code), days)
        assert bool(found) is is_beyond

    def test_new_shares_have_none(self, days):
        assert faults_of(self.split(days, 3), days) == []


class TestMarket:
    def test_days_that_nobody_has(self, days):
        counts = [(int(day), 50) for day in np.delete(days, [4, 5])]
        (found,) = market_faults(counts, Market(days, days))
        assert (found.check, found.severity, found.first, found.last, found.count) == (
            Check.MARKET_GAP, Severity.ERROR, days[4], days[5], 2,
        )  # fmt: skip

    def test_a_day_on_which_few_have_bars(self, days):
        counts = [(int(day), 50) for day in days]
        counts[-1] = (int(days[-1]), 20)
        (found,) = market_faults(counts, Market(days, days))
        assert (found.check, found.first, found.detail) == (Check.THIN_DAY, days[-1], "20 / 50")
