from __future__ import annotations

from datetime import datetime

import pytest

from storage_app import create_data_store
from storage_app.contract.errors import Unavailable
from storage_app.models import AccountStatus
from storage_app.stores.aging import age_books
from storage_app.stores.redis import book_key
from storage_app.tasks import age_books as task
from tests.factories import make_account
from trades_app.market import clock

CODE = "600000.SH"


@pytest.fixture
def store(redis, data_dir, db):
    store = create_data_store("hybrid")
    yield store
    store.close()


def hold(store, *books):
    for book in books:
        store.update_held_days(CODE, 0, book)


def ages(store, *books):
    return [store.get_held_days(CODE, book) for book in books]


def test_books_of_active_accounts_age_once_a_day(store, trading_morning):
    make_account("10000001")
    books = ("10000001", "10000001/alpha")
    hold(store, *books)

    assert sorted(age_books(store)) == sorted(books)
    assert age_books(store) == []
    assert ages(store, *books) == [1, 1]


def test_demo_retired_and_unknown_accounts_are_left_alone(store, trading_morning):
    make_account("10000001", is_demo=True)
    make_account("10000002", status=AccountStatus.INACTIVE)
    books = ("10000001", "10000002", "10000003")
    hold(store, *books)

    assert age_books(store) == []
    assert ages(store, *books) == [0, 0, 0]


def test_a_holiday_ages_nothing(store):
    make_account("10000001")
    hold(store, "10000001")

    with clock.pinned(datetime(2026, 10, 1, 8, 5, tzinfo=clock.SHANGHAI)):
        assert age_books(store) == []
    assert ages(store, "10000001") == [0]


def test_a_book_that_fails_is_named_and_does_not_keep_the_others(store, redis, trading_morning):
    make_account("10000001")
    make_account("10000002")
    hold(store, "10000001", "10000002")
    redis.set(book_key("10000001"), "no book at all")

    with pytest.raises(Unavailable, match="not aged: 10000001"):
        age_books(store)
    assert ages(store, "10000002") == [1]


def test_the_task_does_what_the_function_does(store, trading_morning):
    make_account("10000001")
    hold(store, "10000001")

    assert task.apply().get() == {"status": "done", "result": ["10000001"]}
    assert task.apply().get()["status"] == "passed over"
    assert ages(store, "10000001") == [1]
