"""The example's month as a program of its own, and what must come of it by a second reckoning.

Only what the broker did is taken from its books; positions, ledger, equity and profit are worked
out here, from the bars as they stand in their files and from rules written down once more.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from tests.silverquant import scripts
from trades_app.market import clock

ROOT = scripts.EXAMPLES.parent
# Not as a module, whose classes would be those of another `__main__`.
PROGRAM = "from tests.silverquant import month; month.main()"
ACCOUNT = "example-run"
CASH = Decimal(1_000_000)
FEN = Decimal("0.01")
BUY = 23


def start(run_dir, data_dir, mode, days=None):
    from tests.faults import databases

    arguments = ["--run-dir", str(run_dir), "--data-dir", str(data_dir), "--mode", mode]
    if days is not None:
        arguments += ["--days", str(days)]
    names = json.dumps(databases.names() if mode == "hybrid" else {})
    log = (run_dir.parent / "output.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, names, *arguments], cwd=ROOT, stdout=log, stderr=log
    )


def finish(process, run_dir, seconds=600):
    code = process.wait(seconds)
    assert code == 0, (run_dir.parent / "output.log").read_text()[-3000:]


def main():
    names, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    from django.conf import settings

    for alias, name in names.items():
        settings.DATABASES[alias]["NAME"] = name
    sys.path.insert(0, str(scripts.EXAMPLES))
    from month import main as trade

    trade(arguments)


@dataclass
class Reckoning:
    """What the books of the broker amount to."""

    orders: list
    trades: list
    days: list

    @classmethod
    def of(cls, run_dir, days):
        state = json.loads((run_dir / "broker.json").read_text())
        until = f"{days[-1]}"
        return cls(
            [one for one in state["orders"] if one["day"] <= until],
            [one for one in state["trades"] if one["day"] <= until],
            list(days),
        )

    def ledger(self):
        """Return every row: kind, order, fill, code, shares, price in yuan, moment."""
        rows = []
        for one in self.orders:
            side = "buy" if one["order_type"] == BUY else "sell"
            ident = (str(one["order_id"]), "", one["stock_code"])
            at = one["order_time"]
            rows.append((f"{side}_order", *ident, one["order_volume"], one["price"], at))
            missing = one["order_volume"] - one["traded_volume"]
            if missing:
                rows.append(("cancel", *ident, missing, one["price"], at))
        for one in self.trades:
            side = "buy" if one["order_type"] == BUY else "sell"
            ident = (str(one["order_id"]), one["traded_id"], one["stock_code"])
            price, at = one["traded_price"], one["traded_time"]
            rows.append((f"{side}_trade", *ident, one["traded_volume"], price, at))
        return sorted(rows)

    def profit(self):
        """Return what sold shares brought above the oldest bought ones, in yuan."""
        lots, profit = defaultdict(deque), Decimal(0)
        for one in self.trades:
            price, volume = Decimal(str(one["traded_price"])), one["traded_volume"]
            if one["order_type"] == BUY:
                lots[one["stock_code"]].append([price, volume])
                continue
            queue = lots[one["stock_code"]]
            while volume:
                part = min(volume, queue[0][1])
                profit += (price - queue[0][0]) * part
                queue[0][1] -= part
                volume -= part
                if not queue[0][1]:
                    queue.popleft()
        return profit

    def fees(self, until="9999"):
        """Commission 0.025 %, at least 5 yuan an order; transfer 0.002 %; a seller's tax 0.1 %."""
        amounts = defaultdict(Decimal)
        for one in self.trades:
            if one["day"] <= until:
                amount = Decimal(str(one["traded_price"])) * one["traded_volume"]
                amounts[one["order_id"], one["order_type"]] += amount
        total = Decimal(0)
        for (_, side), amount in amounts.items():
            total += cents(max(amount * Decimal("0.00025"), Decimal(5)))
            total += cents(amount * Decimal("0.00002"))
            total += cents(amount * Decimal("0.001")) if side != BUY else 0
        return total

    def cash(self, until="9999"):
        spent = sum(
            Decimal(str(one["traded_price"])) * one["traded_volume"]
            * (1 if one["order_type"] == BUY else -1)
            for one in self.trades
            if one["day"] <= until
        )  # fmt: skip
        return CASH - spent - self.fees(until)

    def held(self, until="9999"):
        """Return {code: (shares, day of opening)} after a day."""
        held = {}
        for one in self.trades:
            if one["day"] > until:
                break
            sign = 1 if one["order_type"] == BUY else -1
            shares, opened = held.get(one["stock_code"], (0, one["day"]))
            held[one["stock_code"]] = (shares + sign * one["traded_volume"], opened)
            if not held[one["stock_code"]][0]:
                del held[one["stock_code"]]
        return held

    def positions(self):
        """Return {code: (age, highest, lowest, shares)} at the end; extremes from day 1 on."""
        found, bars = {}, read_bars()
        for code, (shares, opened) in self.held().items():
            later = [day for day in self.days if f"{day}" > opened]
            seen = [bars[code][day] for day in later if day in bars[code]]
            highest = max((float(bar["high"]) for bar in seen), default=None)
            lowest = min((float(bar["low"]) for bar in seen), default=None)
            found[code] = (len(later), highest, lowest, shares)
        return found

    def equity(self):
        """Return {day: yuan} at the close; a suspended code counts at its last price."""
        bars, curve = read_bars(), {}
        for day in self.days:
            value = Decimal(0)
            for code, (shares, _) in self.held(f"{day}").items():
                last = max(one for one in bars[code] if one <= day)
                value += Decimal(bars[code][last]["close"]) * shares
            curve[day] = self.cash(f"{day}") + value
        return curve


def cents(amount):
    return amount.quantize(FEN, ROUND_HALF_UP)


def read_bars():
    bars = {}
    for path in (ROOT / "demo" / "silverquant" / "_daily_akshare").glob("*.csv"):
        with path.open(newline="") as stream:
            bars[path.stem] = {
                datetime.strptime(row["datetime"], "%Y%m%d").date(): row  # noqa: DTZ007
                for row in csv.DictReader(stream)
            }
    return bars


def june(count=None):
    from trades_app.market import calendar

    return list(calendar.trading_days(date(2017, 6, 1), date(2017, 6, 30)))[:count]


def recorded_ledger(store):
    return sorted(
        (
            row["order_type"], row["order_id"], row["trade_id"], row["code"], row["volume"],
            row["price"], int(row["timestamp"].timestamp()),
        )
        for row in store.iter_trades(ACCOUNT)
    )  # fmt: skip


def recorded_positions(store):
    return {
        code: (one.held_days, one.max_price, one.min_price, one.volume)
        for code, one in store.get_positions(ACCOUNT).items()
    }


def recorded_equity(store, data_dir):
    if store.mode == "file":
        path = Path(data_dir) / "assets" / f"{ACCOUNT}.json"
        days = json.loads(path.read_text())
        return {date.fromisoformat(day): Decimal(one["total_assets"]) for day, one in days.items()}
    from storage_app.models import AccountSnapshot

    rows = AccountSnapshot.objects.filter(account__account_id=ACCOUNT)
    return {row.trade_date: row.total_assets for row in rows}


def check(store, reckoning, data_dir):
    """Hold everything that the platform says against the second reckoning."""
    last = reckoning.days[-1]
    with clock.pinned(datetime(last.year, last.month, last.day, 16, tzinfo=clock.SHANGHAI)):
        assert recorded_ledger(store) == reckoning.ledger()
        assert recorded_positions(store) == reckoning.positions()
        assert recorded_equity(store, data_dir) == reckoning.equity()
        account = store.get_account(ACCOUNT)
        assert Decimal(str(account["current_capital"])) == reckoning.cash()
        (total,) = store.aggregate_trades(ACCOUNT, date(2017, 6, 1), last, "year")
    assert cents(Decimal(str(total["profit"]))) == reckoning.profit()
    assert cents(Decimal(str(total["fee"]))) == reckoning.fees()
    assert total["trade_count"] == len(reckoning.trades)
    assert total["unmatched_volume"] == 0
