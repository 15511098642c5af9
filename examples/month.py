"""A month of trading in seconds: `make example`, or `PYTHONPATH=. python examples/month.py`.

It records into the platform that runs on this machine, where the dashboard shows it live, and
else into files of its own below `var/example`. `--run-dir` names where the broker keeps its
books; a run that was interrupted goes on from there.
"""

# ruff: noqa: I001
from __future__ import annotations

import storage_app.silverquant.install  # noqa: F401, the first line that makes the rest work

import argparse
import logging
import sys
from datetime import date, datetime, time
from pathlib import Path

from storage_app import create_data_store, silverquant
from storage_app.silverquant import QmtRecorder, bootstrap
from trades_app.market import clock

from broker import Broker
from market import NAMES, TICKS, Day, read_bars, trading_days
from strategy import BuyConf, Paths, SellConf, Strategy

logger = logging.getLogger("example")

ROOT = Path(__file__).resolve().parent.parent
STRATEGY = "Example month"
FIRST, LAST = date(2017, 6, 1), date(2017, 6, 30)
CASH = 100_000_000  # fen
BEFORE, SUMMARY = time(8, 10), time(15, 2)
# Ticks between two losses of the connection.
RECONNECT = 331


class Callback(QmtRecorder):
    """In a script of yours: class Callback(QmtRecorder, XtCustomCallback)."""


def main(arguments=None):
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("storage_app").setLevel(logging.WARNING)
    run_dir = options.run_dir or ROOT / "var" / "example" / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005
    run_dir.mkdir(parents=True, exist_ok=True)
    run = Run(run_dir, options.mode, options.data_dir)
    days = trading_days(FIRST, LAST)[: options.days]
    # The platform sees the time of the market; the day is set once for its threads as well.
    for day in days:
        with clock.pinned(datetime.combine(day, BEFORE, clock.SHANGHAI)):
            run.trade(day)
    run.tell()
    run.close()


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, help="trading days, the whole month by default")
    parser.add_argument("--run-dir", type=Path, help="where the broker keeps its books")
    parser.add_argument("--mode", choices=("file", "hybrid"), help="what is running by default")
    parser.add_argument("--data-dir", type=Path, help="DATA_DIR instead of that of the platform")
    return parser.parse_args(arguments)


class Run:
    def __init__(self, directory, mode, data_dir):
        self.directory = directory
        self.bars = read_bars()
        self.account = f"example-{directory.name}"[:50]
        mode, config = choose(mode, data_dir, directory)
        self.session = bootstrap(self.account, STRATEGY, mode=mode, config=config)
        logger.info("%s", self.session.status)
        open_account(self.session.store, self.account)
        paths = Paths(directory)
        silverquant.bind(paths.held, self.account)
        self.broker = Broker(directory / "broker.json", CASH)
        self.callback = Callback()
        self.callback.stock_names = Names()
        self.callback.record_into(self.account, STRATEGY, assets=self.broker.query_asset)
        parameters = map(self.session.parameters, (BuyConf, SellConf))
        self.strategy = Strategy(self.broker, paths, *parameters)
        self.cursor = Cursor(directory / "cursor")

    def trade(self, day):
        begun = self.cursor.read()
        if place(day, TICKS) <= begun:
            return
        market = Day(self.bars, day)
        self.session.refresh()
        self.broker.begin_day(day)
        self.broker.connect(self.callback)
        if self.strategy.before_trade_day():
            logger.info("%s  holdings are a day older", day)
        for number, tick in enumerate(market.ticks):
            if place(day, tick) >= begun:
                self.step(market, tick)
            if number % RECONNECT == RECONNECT - 1:
                self.broker.connect(self.callback)
        with clock.pinned(market.at(SUMMARY)):
            self.close_day(market)
        self.cursor.write(place(day, TICKS))

    def step(self, market, tick):
        moment = market.moment(tick)
        with clock.pinned(moment):
            self.cursor.write(place(market.day, tick))
            self.broker.match(market.prices(tick), tick, moment)
            self.strategy.execute(moment, tick, market.quotes(tick))

    def close_day(self, market):
        self.broker.end_day(market.at(SUMMARY))
        self.broker.mark({code: bar.close for code, bar in market.bars.items()})
        asset = self.broker.query_asset()
        self.callback.on_stock_asset(asset)
        orders = self.broker.query_orders()
        logger.info(
            "%s  %2d orders, %d positions, equity %.2f",
            market.day, len(orders), len(self.broker.state["held"]), asset.total_asset,
        )  # fmt: skip

    def tell(self):
        store = self.session.store
        total = store.aggregate_trades(self.account, FIRST, LAST, "year")
        for code, state in sorted(store.get_positions(self.account).items()):
            logger.info("%s %s: %s shares, day %s, high %s", code, NAMES[code], state.volume,
                        state.held_days, state.max_price)  # fmt: skip
        for row in total:
            logger.info("%s fills, profit %.2f, fees %.2f",
                        row["trade_count"], row["profit"], row["fee"])  # fmt: skip

    def close(self):
        self.session.close()


def place(day, tick):
    return f"{day} {tick:05}"


class Cursor:
    """The tick that was begun last: a few bytes in place, which a kill cannot cut."""

    def __init__(self, path):
        path.touch()
        self.file = path.open("r+b", buffering=0)

    def read(self):
        self.file.seek(0)
        return self.file.read().decode()

    def write(self, text):
        self.file.seek(0)
        self.file.write(text.encode())


class Names:
    def get_name(self, code):
        return NAMES.get(code, "")


def choose(mode, data_dir, directory):
    """Return mode and config: the platform if it runs here, else files beside the broker's."""
    if mode is not None or data_dir is not None:
        return mode, {} if data_dir is None else {"data_dir": data_dir}
    probe = create_data_store()
    is_up = probe.mode == "hybrid" and "down" not in probe.health_check().values()
    probe.close()
    return ("hybrid", {}) if is_up else ("file", {"data_dir": directory / "platform"})


def open_account(store, account):
    """Open it as a demo, which the jobs of the platform leave alone."""
    if store.get_account(account) is not None:
        return
    if store.mode == "file":
        store.create_account(account, "Example", "QMT", CASH // 100, environment="paper")
        return
    from storage_app.services import accounts
    from storage_app.services.actors import trader

    accounts.create(trader(), account, "Example", "QMT", CASH // 100, "paper", is_demo=True)


if __name__ == "__main__":
    sys.exit(main())
