"""Profit and cost of fills: first in, first out, per account and code; plain arithmetic.

Everything is counted in whole numbers (ticks of 0.001 yuan, shares, fen), so sums are exact.
The queue of lots is never walked. With B and S shares bought and sold so far, the shares sold
without a recorded buy are the highest value that S - B ever had (0 at least), the rest of S is
matched, and FIFO means that matched shares number m0 to m1 cost C(m1) - C(m0), where C(m) is
what the first m shares bought have cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trades_app.market import fees
from trades_app.market.sources import ASSUMED as ASSUMED

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MILLI_PER_YUAN = 1000
FEN_PER_YUAN = 100
_UNITS = {"day": "D", "month": "M", "year": "Y"}
# Rates are whole multiples of this: the finest, the transfer fee, has five decimals.
_RATE_SCALE = 10**7
_MILLI_PER_FEN = 10
_LOW_BITS = 2**26 - 1
# Since then every fee is a share of the amount.
_FEES_BY_AMOUNT = date(2015, 8, 1)


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of any number of accounts and codes, in any order, as columns.

    `group` numbers a pair of account and code, `codes[group]` is its code. `day` is days since
    1970, `at` milliseconds since 1970, `price` ticks. `order` is equal for fills of one order
    (and only for those). `is_assumed` marks fills of the source ASSUMED.
    """

    codes: list[str]
    group: Integers
    day: Integers
    at: Integers
    is_buy: Flags
    price: Integers
    volume: Integers
    order: npt.NDArray[np.int64 | np.uint64]
    is_assumed: Flags

    def __len__(self) -> int:
        return len(self.day)

    @classmethod
    def none(cls) -> Fills:
        empty = np.empty(0, dtype=np.int64)
        none = empty.astype(bool)
        return cls([], empty, empty, empty, none, empty, empty, empty, none)

    def take(self, places: Integers | Flags) -> Fills:
        columns = ("group", "day", "at", "is_buy", "price", "volume", "order", "is_assumed")
        return Fills(self.codes, *(getattr(self, name)[places] for name in columns))


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of one code, as a person looks at it."""

    uid: str
    at: datetime
    is_buy: bool
    price: Decimal
    volume: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Lot:
    """Shares of a buy that a sell closed."""

    buy: Fill
    sell: Fill
    volume: int

    @property
    def profit(self) -> Decimal:
        return (self.sell.price - self.buy.price) * self.volume


def match_lots(fills: Iterable[Fill]) -> list[Lot]:
    """Pair the fills of one account and code, in order of the sells.

    Within a millisecond buys come first, then lower prices, as in `summarise`; shares sold
    without a recorded buy are in no lot.
    """
    lots = []
    waiting: deque[tuple[Fill, int]] = deque()
    for fill in sorted(fills, key=lambda one: (one.at, not one.is_buy, one.price, one.volume)):
        if fill.is_buy:
            waiting.append((fill, fill.volume))
            continue
        left = fill.volume
        while left and waiting:
            buy, open_shares = waiting.popleft()
            closed = min(left, open_shares)
            lots.append(Lot(buy, fill, closed))
            left -= closed
            if open_shares > closed:
                waiting.appendleft((buy, open_shares - closed))
    return lots


def open_shares(fills: Fills) -> dict[int, int]:
    """Return how many shares of each group were bought and not sold, groups with none left out."""
    ordered = _in_order(fills)
    _profit, matched = _match(ordered)
    place, groups = pd.factorize(ordered.group)
    left = np.where(ordered.is_buy, ordered.volume, -matched)
    sums = _totals(place, len(groups), left).tolist()
    return {
        group: shares for group, shares in zip(groups.tolist(), sums, strict=True) if shares > 0
    }


def cost_of_newest(fills: Fills, held: Mapping[int, int]) -> dict[int, Decimal]:
    """Return what a share of the newest `held[group]` shares bought has cost on average, in yuan.

    First in, first out, those are the shares that are still there. A group of which fewer
    shares were bought than are held is left out.
    """
    buys = fills.take(fills.is_buy & np.isin(fills.group, list(held)))
    if not len(buys):
        return {}
    newest_first = np.lexsort((-buys.volume, -buys.price, -buys.at, buys.group))
    buys = buys.take(newest_first)
    before = np.cumsum(buys.volume) - buys.volume
    before -= np.repeat(before[_group_starts(buys.group)], _group_sizes(buys.group))
    wanted = np.array([held[group] for group in buys.group.tolist()], dtype=np.int64)
    taken = np.clip(wanted - before, 0, buys.volume)
    place, groups = pd.factorize(buys.group)
    shares = _totals(place, len(groups), taken).tolist()
    spent = _totals(place, len(groups), taken * buys.price).tolist()
    return {
        group: Decimal(cost) / MILLI_PER_YUAN / held[group]
        for group, found, cost in zip(groups.tolist(), shares, spent, strict=True)
        if found == held[group] and found
    }


@dataclass(frozen=True, slots=True)
class Results:
    """Fills of a span of time with what each earned (milli-yuan), closed (shares), cost (fen).

    The fee of an order stands at the first of its fills; `estimated` marks those whose figures
    rest on an assumed fill.
    """

    fills: Fills
    profit: Integers
    matched: Integers
    fee: Integers
    estimated: Flags

    def take(self, places: Integers | Flags) -> Results:
        """Return the results of some fills; they hold all fills of an order or none."""
        columns = (self.profit[places], self.matched[places], self.fee[places])
        return Results(self.fills.take(places), *columns, self.estimated[places])

    def by_period(self, group_by: str) -> list[dict[str, Any]]:
        """Return a row per day, month or year with fills, oldest first."""
        days = self.fills.day.view("datetime64[D]")
        place, periods = pd.factorize(days.astype(f"datetime64[{_UNITS[group_by]}]"))
        return sorted(self._rows(place, [str(one) for one in periods]), key=itemgetter("period"))

    def total(self) -> dict[str, Any]:
        """Return all of them as one row, whose period is empty."""
        (row,) = self._rows(np.zeros_like(self.fills.day), [""])
        return row

    def _rows(self, place: Integers, periods: list[str]) -> list[dict[str, Any]]:
        fills, closed = self.fills, self.matched > 0
        amount = fills.price * fills.volume
        columns = (
            np.ones_like(fills.day),
            np.where(fills.is_buy, amount, 0),
            np.where(fills.is_buy, 0, amount),
            self.fee,
            self.profit,
            closed,
            closed & (self.profit > 0),
            np.where(fills.is_buy, 0, fills.volume - self.matched),
            self.estimated,
        )
        sums = [_totals(place, len(periods), column).tolist() for column in columns]
        return [_row(period, *values) for period, *values in zip(periods, *sums, strict=True)]


def match(fills: Fills, start: date, end: date) -> Results:
    """Return what the fills between two days earned.

    `fills` must reach back to the first buy of what was held at `start`.
    """
    ordered = _in_order(fills)
    profit, matched = _match(ordered)
    inside = (ordered.day >= _day_number(start)) & (ordered.day <= _day_number(end))
    estimated = _rests_on_assumed(ordered)[inside]
    within = ordered.take(inside)
    return Results(within, profit[inside], matched[inside], _fees(within), estimated)


def summarise(fills: Fills, start: date, end: date, group_by: str) -> list[dict[str, Any]]:
    """Return a row per period with fills between `start` and `end`, oldest first.

    `fills` must reach back to the first buy of what was held at `start`. Profit is before fees
    and leaves out unmatched shares; `win_rate` is the share of sells with a profit above 0
    among those that closed anything. `is_estimate` tells whether any figure rests on an assumed
    fill: one of the period, or one before a sell of the same account and code.
    """
    return match(fills, start, end).by_period(group_by)


def _totals(place: Integers, places: int, values: Integers | Flags) -> Integers:
    """Return exact sums by place; halves, because bincount adds in floats of 53 bits."""
    low, high = (
        np.bincount(place, part, places).astype(np.int64)
        for part in (values & _LOW_BITS, values >> _LOW_BITS.bit_length())
    )
    return np.asarray(low + (high << _LOW_BITS.bit_length()), dtype=np.int64)


def _row(
    period: str,
    trade_count: int,
    bought: int,
    sold: int,
    fee: int,
    profit: int,
    closed: int,
    won: int,
    unmatched: int,
    estimated: int,
) -> dict[str, Any]:
    return {
        "period": period,
        "trade_count": trade_count,
        "buy_amount": bought / MILLI_PER_YUAN,
        "sell_amount": sold / MILLI_PER_YUAN,
        "total_amount": (bought + sold) / MILLI_PER_YUAN,
        "fee": fee / FEN_PER_YUAN,
        "profit": profit / MILLI_PER_YUAN,
        "win_rate": won / closed if closed else None,
        "unmatched_volume": unmatched,
        "is_estimate": estimated > 0,
    }


def _in_order(fills: Fills) -> Fills:
    """Sort by group and time; within a millisecond buys come first, then lower prices."""
    if not len(fills):
        return fills
    # 42 bits hold 69 years of milliseconds and the side.
    moment = (fills.at - fills.at.min()) * 2 + ~fills.is_buy
    key = fills.group << 42 | moment
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        order = np.lexsort((fills.volume, fills.price, key))
    return fills.take(order)


def _match(fills: Fills) -> tuple[Integers, Integers]:
    """Return profit (milli-yuan) and matched shares of each fill, 0 for buys."""
    bought = np.where(fills.is_buy, fills.volume, 0)
    sold = np.where(fills.is_buy, 0, fills.volume)
    before = _sum_before_group(fills.group, bought)
    total_sold = np.cumsum(sold) - _sum_before_group(fills.group, sold)
    surplus = np.maximum(total_sold - (np.cumsum(bought) - before), 0)
    total_matched = total_sold - _running_maximum(fills.group, surplus)
    matched = np.diff(total_matched, prepend=0)
    matched[fills.is_buy] = 0
    # At the first fill of a group the difference reaches into the group before.
    first = _group_starts(fills.group)
    matched[first] = total_matched[first]
    last_share = before + total_matched
    cost = _Cost(fills)
    spent = cost.of_first(last_share) - cost.of_first(last_share - matched)
    return matched * fills.price - spent, matched


class _Cost:
    """What the first so many shares have cost, counted over the buys of all groups in a row."""

    def __init__(self, fills: Fills) -> None:
        volume, price = fills.volume[fills.is_buy], fills.price[fills.is_buy]
        self._edges = np.concatenate(([0], np.cumsum(volume)))
        self._costs = np.concatenate(([0], np.cumsum(volume * price)))
        self._prices = np.concatenate(([0], price))

    def of_first(self, shares: Integers) -> Integers:
        lot = np.searchsorted(self._edges, shares, side="left")
        missing = self._edges[lot] - shares
        return np.asarray(self._costs[lot] - missing * self._prices[lot], dtype=np.int64)


def _rests_on_assumed(fills: Fills) -> Flags:
    """Tell the assumed fills, and the sells that come after one of the same group."""
    so_far = np.cumsum(fills.is_assumed) - _sum_before_group(
        fills.group, fills.is_assumed.astype(np.int64)
    )
    return np.asarray(fills.is_assumed | (~fills.is_buy & (so_far > 0)), dtype=np.bool_)


def _group_starts(group: Integers) -> Flags:
    return np.concatenate(([True], group[1:] != group[:-1]))[: len(group)]


def _group_sizes(group: Integers) -> Integers:
    starts = np.flatnonzero(_group_starts(group))
    return np.diff(np.append(starts, len(group)))


def _sum_before_group(group: Integers, values: Integers) -> Integers:
    """Return, for each row, the sum of the values of all groups before its own."""
    starts = np.flatnonzero(_group_starts(group))
    running = np.concatenate(([0], np.cumsum(values)))
    return np.repeat(running[starts], _group_sizes(group))


def _running_maximum(group: Integers, values: Integers) -> Integers:
    """Return the highest value so far within each group; values are 0 or more."""
    # Lifting each group above the one before lets one pass serve all.
    lift = np.cumsum(_group_starts(group)) * (int(values.max(initial=0)) + 1)
    return np.asarray(np.maximum.accumulate(values + lift) - lift, dtype=np.int64)


def _fees(fills: Fills) -> Integers:
    """Return what each order cost in fen, at the first of its fills."""
    order, orders = pd.factorize(fills.order)
    first = np.empty(len(orders), dtype=np.int64)
    first[order[::-1]] = np.arange(len(fills) - 1, -1, -1)
    amount = _totals(order, len(orders), fills.price * fills.volume)
    volume = _totals(order, len(orders), fills.volume)
    fees_by_fill = np.zeros(len(fills), dtype=np.int64)
    fees_by_fill[first] = _order_fees(fills.take(first), amount, volume)
    return fees_by_fill


def _order_fees(orders: Fills, amount: Integers, volume: Integers) -> Integers:
    """Return the fee of each order in fen, equal to `fees.order_fees` and computed at once."""
    is_share = np.array([_is_taxed(code) for code in orders.codes], dtype=bool)[orders.group]
    days, place = np.unique(orders.day, return_inverse=True)
    buyer, seller, transfer = (
        np.array([_rates_on(int(day)) for day in days], dtype=np.int64).reshape(-1, 3)[place].T
    )
    stamp = np.where(orders.is_buy, buyer, seller) * is_share
    commission = np.maximum(
        _share_of(amount, _scaled(fees.COMMISSION_RATE)),
        int(fees.COMMISSION_MINIMUM * FEN_PER_YUAN),
    )
    total = commission + _share_of(amount, stamp) + _share_of(amount, transfer * is_share)
    for index in np.flatnonzero(orders.day < _day_number(_FEES_BY_AMOUNT)):
        total[index] = _fee_of_old(orders, int(index), int(amount[index]), int(volume[index]))
    return total


def _fee_of_old(orders: Fills, index: int, amount: int, volume: int) -> int:
    cost = fees.order_fees(
        orders.codes[orders.group[index]],
        "BUY" if orders.is_buy[index] else "SELL",
        Decimal(amount) / MILLI_PER_YUAN,
        volume,
        orders.day[index : index + 1].view("datetime64[D]")[0].item(),
    )
    return int(cost.total * FEN_PER_YUAN)


def _share_of(amount: Integers, rate: Integers | int) -> Integers:
    """Return milli-yuan times a scaled rate as fen, rounded half up."""
    whole = _RATE_SCALE * _MILLI_PER_FEN
    return np.asarray((amount * rate + whole // 2) // whole, dtype=np.int64)


@lru_cache(maxsize=16384)
def _is_taxed(code: str) -> bool:
    return fees.stamp_tax_rate(code, "SELL", _FEES_BY_AMOUNT) > 0


@lru_cache(maxsize=16384)
def _rates_on(day_number: int) -> tuple[int, int, int]:
    """Return stamp tax of buyer and seller and the transfer fee of shares, scaled."""
    day = np.array([day_number]).view("datetime64[D]")[0].item()
    share = "600000.SH"
    rates = (
        fees.stamp_tax_rate(share, "BUY", day),
        fees.stamp_tax_rate(share, "SELL", day),
        fees.transfer_fee_rate(share, day),
    )
    buyer, seller, transfer = (_scaled(rate) for rate in rates)
    return buyer, seller, transfer


def _scaled(rate: Decimal) -> int:
    return int(rate * _RATE_SCALE)


def _day_number(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))
