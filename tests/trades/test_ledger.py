from __future__ import annotations

from collections import deque
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trades_app import ledger
from trades_app.market import clock, fees

CODES = ["600000.SH", "000001.SZ", "510300.SH", "128136.SZ"]
FIRST = date(2026, 1, 1)
LAST = date(2026, 12, 31)


def fills_of(rows):
    """Fills from (group, day, at, is_buy, ticks, volume, order)."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 7).T.copy()
    group, day, at, is_buy, price, volume, order = table
    codes = [CODES[number % len(CODES)] for number in range(8)]
    flags = is_buy.astype(bool), np.zeros(len(day), dtype=bool)
    return ledger.Fills(codes, group, day, at, flags[0], price, volume, order, flags[1])


def day_number(day):
    return (day - date(1970, 1, 1)).days


def summarise_share_by_share(rows, start, end):
    """The same sums by walking a queue of single shares."""
    queues, periods = {}, {}
    for group, day, _, is_buy, price, volume, _ in sorted(
        rows, key=lambda row: (row[0], row[2], not row[3], row[4], row[5])
    ):
        queue = queues.setdefault(group, deque())
        profit, unmatched = 0, 0
        if is_buy:
            queue.extend([price] * volume)
        else:
            for _ in range(volume):
                if queue:
                    profit += price - queue.popleft()
                else:
                    unmatched += 1
        if not day_number(start) <= day <= day_number(end):
            continue
        when = date(1970, 1, 1) + timedelta(days=day)
        found = periods.setdefault(f"{when:%Y-%m}", [0, 0, 0, 0, 0, 0])
        closed = not is_buy and unmatched < volume
        for place, value in enumerate(
            (1, price * volume, profit, closed, closed and profit > 0, unmatched)
        ):
            found[place] += value
    return periods


rows_of_fills = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(day_number(date(2025, 11, 1)), day_number(date(2026, 2, 28))),
        st.integers(0, 40),
        st.integers(0, 1),
        st.integers(1, 50_000),
        st.integers(1, 30),
        st.integers(0, 10**6),
    ),
    max_size=60,
).map(lambda rows: [(g, d, d * 100 + at, b, p, v, o) for g, d, at, b, p, v, o in rows])


@given(rows_of_fills)
def test_sums_equal_those_of_a_queue_walked_share_by_share(rows):
    found = {
        row["period"]: [
            row["trade_count"],
            round(row["total_amount"] * 1000),
            round(row["profit"] * 1000),
            row["win_rate"],
            row["unmatched_volume"],
        ]
        for row in ledger.summarise(fills_of(rows), FIRST, LAST, "month")
    }
    expected = {
        period: [count, amount, profit, won / closed if closed else None, unmatched]
        for period, (count, amount, profit, closed, won, unmatched) in sorted(
            summarise_share_by_share(rows, FIRST, LAST).items()
        )
    }
    assert found == expected
    assert list(found) == list(expected)


@given(rows_of_fills, st.randoms(use_true_random=False))
def test_the_order_in_which_fills_are_read_does_not_matter(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    one, two = (ledger.summarise(fills_of(some), FIRST, LAST, "day") for some in (rows, shuffled))
    assert one == two


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.dates(date(2005, 1, 1), date(2027, 12, 31)),
            st.booleans(),
            st.integers(1, 3_000_000),
            st.integers(1, 900_000),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_fees_equal_those_of_the_market_rules_order_by_order(orders):
    rows = [
        (group, day_number(day), number, is_buy, price, volume, number)
        for number, (group, day, is_buy, price, volume) in enumerate(orders)
    ]
    expected = sum(
        fees.order_fees(
            CODES[group],
            "BUY" if is_buy else "SELL",
            Decimal(price * volume) / 1000,
            volume,
            day,
        ).total
        for group, day, is_buy, price, volume in orders
    )
    found = ledger.summarise(fills_of(rows), date(2005, 1, 1), date(2027, 12, 31), "year")
    assert sum(Decimal(str(row["fee"])) for row in found) == expected


def test_fills_of_one_order_pay_one_minimum():
    day = day_number(date(2026, 3, 2))
    parts = [(0, day, number, 1, 10_000, 100, 7) for number in range(3)]
    (row,) = ledger.summarise(fills_of(parts), FIRST, LAST, "day")
    assert row["fee"] == 5.03


def test_no_fills_make_no_periods():
    assert ledger.summarise(ledger.Fills.none(), FIRST, LAST, "month") == []
    assert ledger.summarise(fills_of([(0, 0, 0, 1, 1, 1, 1)]), FIRST, LAST, "month") == []


def test_a_billion_yuan_is_summed_exactly():
    day = day_number(date(2026, 3, 2))
    rows = [(0, day, number, 1, 999_999_999, 1_000_000, number) for number in range(1000)]
    (row,) = ledger.summarise(fills_of(rows), FIRST, LAST, "year")
    assert row["buy_amount"] == 999_999_999_000_000.0


@given(rows_of_fills)
def test_lots_earn_what_the_sums_say(rows):
    fills = fills_of(rows)
    profit = unmatched = 0
    still_open = {}
    for group in sorted({row[0] for row in rows}):
        own = [
            ledger.Fill(
                str(number),
                datetime.fromtimestamp(at / 1000, clock.SHANGHAI),
                bool(is_buy),
                Decimal(price) / 1000,
                volume,
            )
            for number, (g, _day, at, is_buy, price, volume, _order) in enumerate(rows)
            if g == group
        ]
        lots = ledger.match_lots(own)
        profit += sum(lot.profit for lot in lots)
        closed = sum(lot.volume for lot in lots)
        unmatched += sum(fill.volume for fill in own if not fill.is_buy) - closed
        left = sum(fill.volume for fill in own if fill.is_buy) - closed
        if left:
            still_open[group] = left

    total = ledger.match(fills, date(1990, 1, 1), date(2030, 1, 1)).total()
    assert round(profit * 1000) == round(total["profit"] * 1000)
    assert unmatched == total["unmatched_volume"]
    assert ledger.open_shares(fills) == still_open


@given(rows_of_fills, st.dictionaries(st.integers(0, 3), st.integers(1, 60), min_size=1))
def test_the_cost_of_what_is_held_is_that_of_the_newest_shares_bought(rows, held):
    expected = {}
    for group, shares in held.items():
        prices = [
            price
            for g, _day, _at, is_buy, price, volume, _order in sorted(
                rows, key=lambda row: (row[2], row[4], row[5])
            )
            if g == group and is_buy
            for _share in range(volume)
        ][-shares:]
        if len(prices) == shares:
            expected[group] = Decimal(sum(prices)) / 1000 / shares

    assert ledger.cost_of_newest(fills_of(rows), held) == expected
