"""Random sequences of operations leave every backend with the book of a plain model."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from storage_app.contract.types import PositionFlag, PositionState, Side
from tests.contract.position_model import BookModel
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

CODES = ("000001.SZ", "600000.SH", "430047.BJ")
BOOKS = ("55009728", "55009728/test")
FIRST_DAY = date(2026, 3, 2)

books = st.sampled_from(BOOKS)
codes = st.sampled_from(CODES)
days = st.integers(0, 4).map(lambda offset: FIRST_DAY + timedelta(days=offset))
prices = st.integers(1, 30_000).map(lambda ticks: Decimal(ticks) / 1000)
volumes = st.sampled_from((100, 200, 300))
numbers = itertools.count(1)


@st.composite
def states(draw, code):
    return PositionState(
        code,
        draw(st.none() | st.integers(0, 30)),
        draw(st.none() | prices.map(float)),
        draw(st.none() | prices.map(float)),
        draw(st.none() | st.just(0) | volumes),
        draw(st.none() | days),
        draw(st.sampled_from(PositionFlag)),
    )


class Books(RuleBasedStateMachine):
    """Two books of one account in one store, since they share a directory or a key prefix."""

    new_store = None

    def __init__(self):
        super().__init__()
        self.store = type(self).new_store()
        # A fresh account each time costs less than emptying the store.
        account = f"{next(numbers):08d}"
        self.names = {book: book.replace("55009728", account) for book in BOOKS}
        self.models = {book: BookModel() for book in BOOKS}
        self.account = account

    def teardown(self):
        self.store.close()

    @rule(book=books, code=codes, held_days=st.integers(0, 60))
    def update_held_days(self, book, code, held_days):
        self.models[book].update_held_days(code, held_days)
        self.store.update_held_days(code, held_days, self.names[book])

    @rule(book=books, code=codes)
    def delete_held_days(self, book, code):
        self.models[book].delete_held_days(code)
        self.store.delete_held_days(code, self.names[book])

    @rule(book=books, day=days)
    def increment(self, book, day):
        expected = self.models[book].increment(day)
        assert self.store.increment_held_days(self.names[book], day) is expected

    @rule(book=books, code=codes, price=prices, is_max=st.booleans())
    def update_price(self, book, code, price, is_max):
        self.models[book].update_price(code, "max_price" if is_max else "min_price", float(price))
        update = self.store.update_max_price if is_max else self.store.update_min_price
        update(code, price, self.names[book])

    @rule(book=books, tick=st.dictionaries(codes, st.tuples(prices, prices)))
    def raise_extremes(self, book, tick):
        ordered = {code: (max(pair), min(pair)) for code, pair in tick.items()}
        self.models[book].raise_extremes(
            {code: (float(high), float(low)) for code, (high, low) in ordered.items()}
        )
        self.store.raise_extremes(self.names[book], ordered)

    @rule(book=books, wanted=st.lists(codes, unique=True))
    def open_positions(self, book, wanted):
        expected = self.models[book].open_positions(wanted)
        assert self.store.open_positions(self.names[book], wanted) == expected

    @rule(book=books, day=st.none() | days, data=st.data(), wanted=st.sets(codes))
    def replace_positions(self, book, day, data, wanted):
        book_states = {code: data.draw(states(code)) for code in sorted(wanted)}
        self.models[book].replace(book_states, day)
        self.store.replace_positions(self.names[book], book_states, day)

    @rule(
        book=books,
        code=codes,
        side=st.sampled_from(Side),
        volume=volumes,
        trade_id=st.integers(1, 6).map(str),
        day=days,
        remaining=st.none() | st.just(0) | volumes,
    )
    def apply_fill(self, book, code, side, volume, trade_id, day, remaining):
        expected = self.models[book].apply_fill(code, side, volume, trade_id, day, remaining)
        moment = datetime(day.year, day.month, day.day, 10, tzinfo=clock.SHANGHAI)
        state = self.store.apply_fill(
            self.names[book], code, side, volume, Decimal("10.5"),
            trade_id=trade_id, timestamp=moment, remaining=remaining,
        )  # fmt: skip
        assert state == expected

    @invariant()
    def books_are_those_of_the_model(self):
        for book, model in self.models.items():
            assert self.store.read_book(self.names[book]) == model.book()
        mine = [name for name in self.store.list_books() if name.startswith(self.account)]
        assert mine == [self.names[book] for book in BOOKS if self.models[book].exists]


def test_random_operations_leave_the_book_of_the_model(new_backend):
    machine = type("Machine", (Books,), {"new_store": staticmethod(new_backend)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
