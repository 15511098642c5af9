"""The functions on a book against the same functions on files, in sequences drawn at random.

The files are right about everything but what `docs/strategies.md` lists: there, the sequence
tells the files what they would have had to do.
"""

from __future__ import annotations

import itertools
import threading
from datetime import date, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from storage_app import silverquant
from storage_app.silverquant import functions, hook, registry
from storage_app.stores.compose import create_data_store
from tests.silverquant import scripts
from tests.silverquant.conftest import ACCOUNT
from tests.silverquant.scripts import Held
from trades_app.market import calendar, clock

CODES = ("600000.SH", "000001.SZ", "300059.SZ", "430047.BJ")
DAYS = calendar.trading_days(date(2026, 1, 5), date(2026, 6, 30))
MOMENTS = ("09:25", "09:30", "10:15", "11:30", "11:31", "13:00", "14:57", "14:58")
codes = st.sampled_from(CODES)
several = st.lists(codes, unique=True, max_size=len(CODES))
fen = st.integers(100, 1_000_000)
numbers = itertools.count(1)
lock = threading.Lock()


class Machine(RuleBasedStateMachine):
    """`files` is the module as it was, `ours` the replaced one, each with a directory."""

    make_store = None
    directory = None

    @initialize()
    def begin(self):
        registry.forget_all()
        self.number = next(numbers)
        base = self.directory / f"{self.number}"
        self.files = scripts.Paths(base / "files")
        self.ours = scripts.Paths(base / "ours")
        silverquant.bind(self.ours.held, ACCOUNT, f"run-{self.number}")
        registry.use_store(type(self).store)
        self.day = 0
        # Sold since they were bought: files hold null, the book keeps them in doubt.
        self.sold = set()

    @rule(bought=several)
    def buy(self, bought):
        held = self.file("load_json", self.files.held)
        # Difference: files begin anew with every further buy, a book with one after a doubt.
        closed = {code for code in bought if held.get(code, {}).get("day_count") is None}
        new = [code for code in bought if code in closed | self.sold]
        self.file("new_held", lock, self.files.held, new)
        self.book("new_held", lock, self.ours.held, bought)
        self.sold -= set(bought)

    @rule(code=codes)
    def sell_all(self, code):
        """As a callback does, which in files does not know of parts."""
        for call, files, ours in self.both():
            paths = ours or files
            assert call("del_held_day", lock, paths.held, code) is True
            call("del_key", lock, paths.max, code)
            call("del_keys", lock, paths.min, [code])
        self.sold.add(code)

    @rule()
    def next_day(self):
        self.day += 1
        answers = [call("all_held_inc", lock, (ours or files).held)
                   for call, files, ours in self.both()]  # fmt: skip
        again = [call("all_held_inc", lock, (ours or files).held)
                 for call, files, ours in self.both()]  # fmt: skip
        assert answers == [True, True]
        assert again == [False, False]

    @rule(
        quotes=st.dictionaries(codes, st.tuples(fen, fen)),
        held=several,
        at=st.sampled_from(MOMENTS),
        ignore=st.booleans(),
    )
    def tick(self, quotes, held, at, ignore):
        prices = {
            code: {"high": max(pair) / 100, "low": min(pair) / 100} for code, pair in quotes.items()
        }
        # Difference: files give a sold code extremes if the day of opening counts.
        positions = [Held(code) for code in held if code not in self.sold]
        answers = []
        for call, files, ours in self.both():
            paths = ours or files
            answers.append(
                call(
                    "update_max_prices",
                    lock,
                    prices,
                    positions,
                    at,
                    paths.max,
                    paths.min,
                    paths.held,
                    ignore_open_day=ignore,
                )
            )
        (highs, info), (our_highs, our_info) = answers
        assert self.known(our_highs) == self.known(highs)
        assert self.known(our_info) == self.known(info)

    @rule(broker=several)
    def morning(self, broker):
        """As `update_position_held` does: add what the broker holds, remove what it does not."""
        for call, files, ours in self.both():
            path = (ours or files).held
            held = call("load_json", path)
            for code in broker:
                # Difference: files never re-add what a sell left as null.
                if code in self.sold or code not in held:
                    held[code] = held.get(code) if code in held and ours else {"day_count": 0}
            for code in [key for key in held if key[0] != "_" and key not in broker]:
                del held[code]
            call("save_json", path, held)
        gone = self.sold - set(broker)
        self.remove_prices(gone | (set(CODES) - set(broker)))
        self.sold &= set(broker)

    @rule(code=codes)
    def forget(self, code):
        for call, files, ours in self.both():
            call("del_key", lock, (ours or files).held, code)
        self.remove_prices({code})
        self.sold.discard(code)

    @rule(code=codes, price=fen)
    def set_high(self, code, price):
        for call, files, ours in self.both():
            path = (ours or files).max
            highs = call("load_json", path)
            if self.is_open(code) and code not in self.sold:
                highs[code] = price / 100
            call("save_json", path, highs)

    @invariant()
    def files_and_book_say_the_same(self):
        for name in ("held", "max", "min"):
            files = self.file("load_json", getattr(self.files, name))
            ours = self.book("load_json", getattr(self.ours, name))
            assert self.known(ours) == self.known(files), name

    def is_open(self, code):
        held = self.file("load_json", self.files.held).get(code, {})
        return held.get("day_count") is not None

    def remove_prices(self, gone):
        """Difference: in files a high outlives its position, and would sell the next one."""
        for path in (self.files.max, self.files.min):
            self.file("del_keys", lock, path, sorted(gone))

    def known(self, document):
        """Return what both must agree on: all but what was sold."""
        return {key: value for key, value in document.items() if key not in self.sold}

    def both(self):
        yield self.file, self.files, None
        yield self.book, self.files, self.ours

    def file(self, name, *args, **kwargs):
        with self.today():
            return functions.originals[name](*args, **kwargs)

    def book(self, name, *args, **kwargs):
        with self.today():
            return getattr(functions, name)(*args, **kwargs)

    def today(self):
        day = DAYS[self.day % len(DAYS)]
        return clock.pinned(datetime(day.year, day.month, day.day, 10, tzinfo=clock.SHANGHAI))


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
@pytest.mark.parametrize(("mode", "examples"), [("file", 8), ("redis", 40)])
def test_files_and_books_give_the_same_answers(
    mode, examples, redis, data_dir, tmp_path, monkeypatch
):
    hook.install()
    tools = scripts.load_tools()
    # The files go by the clock of the host, the platform by one that a test can hold.
    monkeypatch.setattr(tools, "today", lambda: f"{clock.today()}")
    # Inside the module, its functions call each other.
    for name, original in functions.originals.items():
        monkeypatch.setattr(tools, name, original)
    Machine.store = create_data_store(mode)
    Machine.directory = tmp_path
    chosen = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Machine, settings=chosen)
    finally:
        hook.uninstall()
        scripts.forget_tools()
        registry.forget_all()
        Machine.store.close()
