"""A small platform with something in every store, all of which agree."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from storage_app.contract.types import PositionState
from storage_app.models import Report
from storage_app.services import accounts, bindings, strategies
from storage_app.services.actors import command
from storage_app.stores import kline_mirror
from storage_app.stores.compose import create_data_store
from storage_app.verify import comparing, wording
from storage_app.verify.scope import Patience, Scope
from tests.factories import make_bars, make_trade
from trades_app.market import calendar, clock

ACCOUNT = "55009728"
OTHER = "20000002"
BOOK = f"{ACCOUNT}/test"
STRATEGY = "Breakout"
IMPATIENT = Patience(books=0.6, entries=0.05, snapshots=0.0)
DEADLINE = 20.0


def wait_until(is_done, what):
    deadline = time.monotonic() + DEADLINE
    while not is_done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _said(value):
    return wording.value(value) if isinstance(value, list) else value


@dataclass
class Platform:
    store: Any
    data_dir: Path

    def open(self):
        self.store.close()
        self.store = create_data_store("hybrid")
        return self.store

    def settle(self):
        """Wait until everything that was written is everywhere, and end the background."""
        self.open()
        wait_until(lambda: not self.owed(), "what is owed reaches its stores")
        # A SQLite file has no snapshot.
        for name in ("accounts", "strategies") * (connection.vendor != "sqlite"):
            wait_until(lambda name=name: self.snapshot(name).exists(), f"a snapshot of {name}")
        self.store.close()

    def settle_books(self):
        """Wait until the files follow what Redis says of the books."""
        store = self.open()
        books = store.positions.mirror
        server = store.positions.primary
        wait_until(
            lambda: all(
                server.read_marks(one) == books.read_marks(one) for one in books.list_books()
            ),
            "the files follow Redis",
        )
        store.close()

    def owed(self):
        outbox = self.store._hold.outbox
        return [task for task in list(outbox._work) if outbox.owed(*task)]

    def snapshot(self, name):
        path = self.data_dir / "snapshot"
        return path / "accounts.json" if name == "accounts" else path / name / f"{name}.json"

    def scope(self, **fields):
        return replace(Scope(data_dir=self.data_dir, patience=IMPATIENT), **fields)

    def verify(self, actor=None, **fields) -> Report:
        return comparing.run(actor or command("test"), self.scope(**fields))

    def found(self, **fields):
        """Return what differs: kind, key, field and both values."""
        report = self.verify(**fields)
        return [
            (
                *(one[name] for name in ("kind", "key", "field")),
                *(_said(one[f"{side}_value"]) for side in ("left", "right")),
            )
            for one in report.findings
        ]


@pytest.fixture
def platform(transactional_db, redis, clickhouse, data_dir, english):
    store = create_data_store("hybrid")
    actor = command("test")
    accounts.create(actor, ACCOUNT, "My account", "QMT", 1_000_000)
    accounts.create(actor, OTHER, "Other account", "QMT", 2_000_000)
    strategies.create(actor, STRATEGY, "breakout", "technical", "1.0.0")
    for slots in (10, 12):
        strategies.save_params(actor, STRATEGY, {"slots": slots, "codes": ["600000.SH"]}, "why")
    bindings.bind(actor, ACCOUNT, STRATEGY, 100_000)
    state = PositionState("600000.SH", 3, 10.8, 9.9, 1000, date(2026, 3, 2))
    store.replace_positions(BOOK, {state.code: state}, date(2026, 3, 5))
    store.replace_positions(OTHER, {"600036.SH": PositionState("600036.SH", 7, 41.0)})
    store.update_account_capital(ACCOUNT, 900_000, 1_010_000, 110_000)
    store.write_trades([make_trade(trade_id=f"T{n}", volume=100 * n) for n in range(1, 6)])
    store.write_trades(
        [make_trade(account_id=OTHER, code="600036.SH", name='招商, "银行"\n', trade_id="X")]
    )
    store.write_klines(make_bars("600000.SH", days=30, start=date(2026, 2, 2)))
    store.write_klines(make_bars("600036.SH", days=20, start=date(2025, 12, 22)), adjust="qfq")
    kline_mirror.refresh(data_dir)
    one = Platform(store, data_dir)
    one.settle()
    yield one
    one.store.close()


@pytest.fixture
def known_calendar(data_dir):
    """Trading days that reach for another year, whatever the date of the run."""
    days = [clock.today() + timedelta(days=offset) for offset in range(-30, 370)]
    lines = [f"{day}" for day in days if day.weekday() < 5]
    path = data_dir / "calendar.csv"
    path.write_text("\n".join([calendar.COLUMN, *lines]) + "\n")
    return path
