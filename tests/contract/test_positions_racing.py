"""Processes and threads that change one book at once lose nothing and count nothing twice."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from storage_app.contract.positions import kept_since
from storage_app.contract.types import PositionState
from tests.contract.racing import PROCESSES, THREADS, race
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

BOOK = "55009728"
CODES = ("000001.SZ", "600000.SH", "430047.BJ")
DAYS = [date(2026, 3, 2) + timedelta(days=offset) for offset in range(4)]
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
WORKERS = PROCESSES * THREADS


@pytest.fixture(autouse=True)
def _known_calendar():
    """The exchange's calendar takes a second to load: once, before the processes fork."""
    kept_since(clock.today())


def hold_all(store, volume=None):
    states = {code: PositionState(code, 0, volume=volume) for code in CODES}
    store.replace_positions(BOOK, states)


def buy(store, code, trade_id):
    return store.apply_fill(
        BOOK, code, "BUY", 100, Decimal(10), trade_id=trade_id, timestamp=MORNING
    )


def test_the_increment_of_a_day_is_done_by_exactly_one_of_all(new_backend):
    store = new_backend()
    hold_all(store)
    answers = race(lambda _: [store.increment_held_days(BOOK, day) for day in DAYS])
    assert [sum(done) for done in zip(*answers, strict=True)] == [1] * len(DAYS)
    assert {state.held_days for state in store.get_positions(BOOK).values()} == {len(DAYS)}


def test_the_daily_call_of_all_does_the_day_once(new_backend):
    store = new_backend()
    hold_all(store)
    for day in DAYS[1:3]:
        with clock.pinned(MORNING.replace(day=day.day)):
            answers = race(lambda _: store.all_held_inc(BOOK))
        assert Counter(answers) == {True: 1, False: WORKERS - 1}
    assert {state.held_days for state in store.get_positions(BOOK).values()} == {2}
    store.close()


def test_racing_ticks_leave_the_widest_extremes(new_backend):
    store = new_backend()
    hold_all(store)
    chance = random.Random(5)
    ticks = [
        [tuple(Decimal(chance.randrange(1, 99_999)) / 1000 for _ in CODES) for _ in range(4)]
        for _ in range(WORKERS)
    ]

    def work(number):
        for tick in ticks[number]:
            store.raise_extremes(
                BOOK, {code: (price, price) for code, price in zip(CODES, tick, strict=True)}
            )

    race(work)
    by_code = zip(*itertools.chain(*ticks), strict=True)
    expected = {
        code: (float(max(p)), float(min(p))) for code, p in zip(CODES, by_code, strict=True)
    }
    held = store.get_positions(BOOK)
    assert {code: (s.max_price, s.min_price) for code, s in held.items()} == expected


def test_racing_fills_are_all_counted_and_each_of_them_once(new_backend):
    store = new_backend()

    def work(number):
        for turn in range(3):
            buy(store, CODES[0], f"own-{number}-{turn}")
            buy(store, CODES[1], f"shared-{turn}")

    race(work)
    held = store.get_positions(BOOK)
    assert held[CODES[0]].volume == WORKERS * 3 * 100
    assert held[CODES[1]].volume == 3 * 100


def test_different_operations_at_once_do_not_undo_each_other(new_backend):
    store = new_backend()
    hold_all(store, volume=0)

    def work(number):
        buy(store, CODES[number % 3], f"buy-{number}")
        store.raise_extremes(BOOK, {CODES[0]: (Decimal(number + 1), Decimal(number + 1))})
        store.increment_held_days(BOOK, DAYS[1])
        return store.open_positions(BOOK, [f"60{number:04d}.SH", "601999.SH"])

    opened = list(itertools.chain(*race(work)))
    held = store.get_positions(BOOK)
    assert sorted(opened) == sorted(set(opened)) == sorted(held.keys() - set(CODES))
    assert sum(held[code].volume for code in CODES) == WORKERS * 100
    assert (held[CODES[0]].max_price, held[CODES[0]].min_price) == (float(WORKERS), 1.0)
    assert {held[code].held_days for code in CODES} == {1}
