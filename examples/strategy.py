"""A small strategy in the form that SilverQuant's scripts have, on the functions they import.

It shows how parts of such a script meet the platform; it is no advice. It buys what opens
strong, sells what was held long enough without a gain and what falls from its high.
"""

from __future__ import annotations

import threading
from pathlib import Path

from broker import BUY, LOT, OPEN, SELL, Refused
from tools.utils_cache import all_held_inc, load_json, save_json, update_max_prices

disk_lock = threading.Lock()


class BuyConf:
    time_range = ("09:31", "10:30")
    slot_count = 4
    slot_capacity = 150_000  # yuan
    inc_min, inc_max = 0.998, 1.07  # against yesterday's close
    # Yuan above the price, by the first digit of a code; what is below waits, maybe in vain.
    premium = {"6": 0.01, "0": -0.05, "3": 0.0}
    patience = 90  # seconds until an order is cancelled


class SellConf:
    time_range = ("09:31", "14:57")
    hard_stop = 0.95
    switch_days, switch_gain = 3, 1.03
    fall_from_top = ((1.03, 0.025), (1.01, 0.035))  # gain at the top, fall from it
    discount = 0.01


class Paths:
    def __init__(self, directory: Path):
        self.held = str(directory / "positions.json")
        self.max = str(directory / "max_price.json")
        self.min = str(directory / "min_price.json")


class Strategy:
    def __init__(self, broker, paths, buying=BuyConf, selling=SellConf):
        self.broker, self.paths = broker, paths
        self.buying, self.selling = buying, selling

    def before_trade_day(self):
        update_position_held(self.broker, self.paths.held)
        return all_held_inc(disk_lock, self.paths.held)

    def execute(self, moment, tick, quotes):
        # First, so that a tick that is lived through once more after a crash ends the same.
        self.cancel_late(moment)
        now = f"{moment:%H:%M}"
        positions = self.broker.query_positions()
        if self.selling.time_range[0] <= now <= self.selling.time_range[1]:
            self.scan_sell(moment, tick, now, quotes, positions)
        if self.buying.time_range[0] <= now <= self.buying.time_range[1]:
            self.scan_buy(moment, tick, quotes, positions)

    def scan_sell(self, moment, tick, now, quotes, positions):
        highs, held = update_max_prices(
            disk_lock, quotes, positions, now, self.paths.max, self.paths.min, self.paths.held
        )
        for position in positions:
            code, days = position.stock_code, held.get(position.stock_code, {}).get("day_count")
            if not days or not position.can_use_volume or code not in quotes:
                continue
            price = quotes[code]["lastPrice"]
            remark = self.why_sell(price, position.open_price, days, highs.get(code))
            if remark:
                limit = price - self.selling.discount
                self.order(code, SELL, limit, position.can_use_volume, remark, moment, tick)

    def why_sell(self, price, cost, days, high):
        if price < cost * self.selling.hard_stop:
            return "止损"
        for gain, fall in self.selling.fall_from_top:
            if high and high >= cost * gain:
                if price < high * (1 - fall):
                    return "回落止盈"
                break
        is_slow = days >= self.selling.switch_days and price < cost * self.selling.switch_gain
        return f"{days}日换仓" if is_slow else ""

    def scan_buy(self, moment, tick, quotes, positions):
        orders = self.broker.query_orders()
        wanted = {one.stock_code for one in orders if one.order_type == BUY}
        taken = {one.stock_code for one in positions} | wanted
        for code, quote in sorted(quotes.items()):
            price = quote["lastPrice"]
            low, high = (quote["lastClose"] * x for x in (self.buying.inc_min, self.buying.inc_max))
            if code in taken or len(taken) >= self.buying.slot_count or not low <= price <= high:
                continue
            volume = int(self.buying.slot_capacity / price) // LOT * LOT
            limit = price + self.buying.premium[code[0]]
            self.order(code, BUY, limit, volume, "开盘走强", moment, tick)
            taken.add(code)

    def order(self, code, side, price, volume, remark, moment, tick):
        try:
            self.broker.place(code, side, round(price, 2), volume, remark, moment, tick)
        except Refused:
            return

    def cancel_late(self, moment):
        for order in self.broker.query_orders():
            age = moment.timestamp() - order.order_time
            if order.status in OPEN and age > self.buying.patience:
                self.broker.cancel(order.order_id)


def update_position_held(broker, path):
    """Bring the holdings up to the broker's list, as scripts do each morning."""
    with disk_lock:
        held = load_json(path)
        codes = {position.stock_code for position in broker.query_positions()}
        for code in codes:
            held.setdefault(code, {"day_count": 0})
        for code in [key for key in held if key[0] != "_" and key not in codes]:
            del held[code]
        save_json(path, held)
