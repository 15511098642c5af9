"""A broker of ours to practise with: it fills orders from the replayed market, in parts.

It calls back as QMT does and keeps its books on its own disk, as a broker does, so it survives
the strategy: whoever connects again is told of all orders and fills of the day once more.
Money is whole fen; nothing is random.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

from trades_app.market.fees import order_fees

BUY, SELL = 23, 24
REPORTED, PART_CANCELLED, CANCELLED, PART_FILLED, FILLED = 50, 53, 54, 55, 56
OPEN = (REPORTED, PART_FILLED)
LIMIT = 11
LOT = 100
SIDES = {BUY: "BUY", SELL: "SELL"}


class Refused(Exception):
    """No money, or no shares that may be sold today."""


class Broker:
    def __init__(self, path, cash=100_000_000):
        self._path = path
        self.callback = None
        self.prices = {}
        if path.exists():
            self.state = json.loads(path.read_text())
        else:
            self.state = {"cash": cash, "held": {}, "orders": [], "trades": [], "day": "", "at": -1}

    def begin_day(self, day: date):
        """Make what was bought before today sellable."""
        if self.state["day"] == f"{day}":
            return
        for held in self.state["held"].values():
            held["usable"] = held["volume"]
        self.state.update(day=f"{day}", at=-1)
        self._save()

    def end_day(self, moment):
        for order in self._today("orders"):
            if order["status"] in OPEN:
                self._cancel(order)

    def connect(self, callback):
        """Tell whoever connects of the day so far; a strategy may have missed any of it."""
        self.callback = callback
        for order in self._today("orders"):
            callback.on_stock_order(_shown(order))
        for trade in self._today("trades"):
            callback.on_stock_trade(_shown(trade))

    def place(self, code, side, price, volume, remark, moment, tick):
        """Take a limit order in yuan; it is looked at from the next tick on."""
        limit = round(price * 100)
        if side == BUY and limit * volume > self.available():
            raise Refused(f"{code}: not enough cash")
        if side == SELL and volume > self.usable(code):
            raise Refused(f"{code}: not enough shares that may be sold today")
        order = {
            "order_id": len(self.state["orders"]) + 1,
            "day": self.state["day"],
            "order_time": int(moment.timestamp()),
            "tick": tick,
            "stock_code": code,
            "order_type": side,
            "price_type": LIMIT,
            "price": limit / 100,
            "order_volume": volume,
            "traded_volume": 0,
            "amount": 0,
            "fee": 0,
            "status": REPORTED,
            "order_remark": remark,
        }
        self.state["orders"].append(order)
        self._save()
        self.callback.on_stock_order(_shown(order))

    def cancel(self, order_id):
        self._cancel(self.state["orders"][order_id - 1])

    def match(self, prices, tick, moment):
        """Fill what the prices of a tick allow, at most two fifths of an order at once."""
        self.prices = prices
        if self.state["at"] >= tick:
            return
        filled = [
            (order, trade)
            for order in self._today("orders")
            if order["status"] in OPEN and order["tick"] < tick
            if (trade := self._fill(order, moment)) is not None
        ]
        if filled:
            self.state["at"] = tick
            self._save()
        for order, trade in filled:
            self.callback.on_stock_order(_shown(order))
            self.callback.on_stock_trade(_shown(trade))

    def available(self):
        waiting = [one for one in self._today("orders") if one["status"] in OPEN]
        frozen = sum(
            round(one["price"] * 100) * (one["order_volume"] - one["traded_volume"])
            for one in waiting
            if one["order_type"] == BUY
        )
        return self.state["cash"] - frozen

    def usable(self, code):
        waiting = sum(
            one["order_volume"] - one["traded_volume"]
            for one in self._today("orders")
            if one["status"] in OPEN and one["order_type"] == SELL and one["stock_code"] == code
        )
        return self.state["held"].get(code, {"usable": 0})["usable"] - waiting

    def query_orders(self):
        return [_shown(order) for order in self._today("orders")]

    def query_positions(self):
        return [
            SimpleNamespace(
                stock_code=code,
                volume=held["volume"],
                can_use_volume=self.usable(code),
                open_price=held["cost"] / held["volume"] / 100,
            )
            for code, held in self.state["held"].items()
        ]

    def query_asset(self):
        value = sum(
            held["volume"] * self.prices.get(code, held["price"])
            for code, held in self.state["held"].items()
        )
        cash = self.state["cash"]
        return SimpleNamespace(
            cash=cash / 100, frozen_cash=0, market_value=value / 100,
            total_asset=(cash + value) / 100,
        )  # fmt: skip

    def mark(self, closes):
        """Keep the closing prices, at which positions of a suspended code count."""
        for code, held in self.state["held"].items():
            held["price"] = closes.get(code, held["price"])
        self._save()

    def _fill(self, order, moment):
        price = self.prices.get(order["stock_code"])
        limit = round(order["price"] * 100)
        is_buy = order["order_type"] == BUY
        if price is None or (price > limit if is_buy else price < limit):
            return None
        left = order["order_volume"] - order["traded_volume"]
        volume = min(left, max(LOT, order["order_volume"] * 2 // 5 // LOT * LOT))
        order["traded_volume"] += volume
        order["amount"] += price * volume
        order["status"] = FILLED if volume == left else PART_FILLED
        self._book(order, price, volume, 1 if is_buy else -1)
        trade = {
            "traded_id": f"{order['day']}-{len(self.state['trades']) + 1}",
            "day": order["day"],
            "order_id": order["order_id"],
            "traded_time": int(moment.timestamp()),
            "stock_code": order["stock_code"],
            "order_type": order["order_type"],
            "traded_price": price / 100,
            "traded_volume": volume,
            "order_remark": order["order_remark"],
        }
        self.state["trades"].append(trade)
        return trade

    def _book(self, order, price, volume, sign):
        """Move cash and shares; the fees of an order grow with its fills, its minimum once."""
        side = SIDES[order["order_type"]]
        total = order_fees(
            order["stock_code"], side, Decimal(order["amount"]) / 100, order["traded_volume"],
            date.fromisoformat(order["day"]),
        ).total  # fmt: skip
        self.state["cash"] -= sign * price * volume + int(total * 100) - order["fee"]
        order["fee"] = int(total * 100)
        code = order["stock_code"]
        held = self.state["held"].setdefault(
            code, {"volume": 0, "usable": 0, "cost": 0, "price": price}
        )
        if sign > 0:
            held["cost"] += price * volume
        else:
            held["cost"] -= held["cost"] * volume // held["volume"]
            held["usable"] -= volume
        held["volume"] += sign * volume
        if not held["volume"]:
            del self.state["held"][code]

    def _cancel(self, order):
        if order["status"] in OPEN:
            order["status"] = PART_CANCELLED if order["traded_volume"] else CANCELLED
            self._save()
            self.callback.on_stock_order(_shown(order))

    def _today(self, what):
        return [one for one in self.state[what] if one["day"] == self.state["day"]]

    def _save(self):
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.state))
        temporary.replace(self._path)


def _shown(record):
    shown = SimpleNamespace(**record)
    if "status" in record:
        shown.order_status = record["status"]
    return shown
