"""Capital at the close: what is known is written, what is not is named."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from storage_app import create_data_store, tasks
from storage_app.models import AccountSnapshot, JobRun, JobStatus
from storage_app.services import actors, capital
from storage_app.stores.closing import record_close
from tests import factories
from trades_app.market import clock
from trades_app.market.clock import SHANGHAI

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

CLOSE = datetime(2026, 3, 3, 15, 10, tzinfo=SHANGHAI)
MORNING = CLOSE - timedelta(hours=6)
NUMBER = "10000001"


@pytest.fixture
def store(redis, clickhouse, data_dir):
    with clock.pinned(CLOSE):
        store = create_data_store("hybrid", {"data_dir": data_dir})
        yield store
        store.close()


@pytest.fixture
def account(store):
    """An account with 5000 yuan since the evening before and 300 shares, whose bars are there."""
    account = factories.make_account(NUMBER)
    told = CLOSE - timedelta(days=1)
    capital.update_capital(actors.trader(), NUMBER, "5000.01", "8000.01", "3000", told)
    buy(store, "600000.SH", 300)
    store.write_klines(factories.make_bars("600000.SH", days=2))
    return account


def buy(store, code, volume, book=NUMBER):
    store.apply_fill(
        book, code, "BUY", volume, "10", trade_id=factories.unique("F"), timestamp=clock.now()
    )


def close(store):
    return record_close(store, actors.job("record_close"))


def reason(store):
    (one,) = close(store)
    assert not AccountSnapshot.objects.filter(trade_date=CLOSE.date()).exists()
    return one.status, one.reason


def test_cash_and_positions_at_their_last_close_make_the_snapshot(store, account):
    buy(store, "600000.SH", 100, f"{NUMBER}/test")
    (done,) = close(store)
    assert (done.status, done.total_assets) == ("recorded", "9040.01")
    snapshot = AccountSnapshot.objects.get(trade_date=date(2026, 3, 3))
    assert snapshot.source == "close"
    assert (snapshot.current_capital, snapshot.position_value) == (
        Decimal("5000.01"),
        Decimal("4040.00"),
    )
    assert close(store) == [done]
    assert AccountSnapshot.objects.count() == 2


def test_suspended_code_counts_at_the_close_it_last_had(store, account):
    buy(store, "000001.SZ", 100)
    store.write_klines(factories.make_bars("000001.SZ", days=1, start=date(2026, 2, 27)))
    (done,) = close(store)
    assert done.position_value == "4030.00"


def test_without_bars_of_today_it_is_asked_again(store, account):
    with clock.pinned(CLOSE + timedelta(days=1)):
        (one,) = close(store)
    assert one.is_pending
    assert one.reason == "there are no bars of 2026-03-04 yet, the newest is 2026-03-03"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda store: buy(store, "000002.SZ", 100), "000002.SZ has no bar"),
        (
            lambda store: store.update_held_days("000002.SZ", 3, NUMBER),
            f"the volume of 000002.SZ in book {NUMBER} is unknown",
        ),
        (
            lambda store: store.record_trade(
                NUMBER, MORNING, "600000.SH", "", "buy_trade", "", "10", 300, trade_id="T"
            ),
            "its cash is of 2026-03-02 15:10, and 1 fills came since",
        ),
        (
            lambda store: capital.update_capital(actors.trader(), NUMBER, 1, 2, 1, MORNING),
            "its trading program recorded the day at 09:10",
        ),
    ],
    ids=["no price", "no volume", "old cash", "program"],
)
def test_what_is_not_known_is_never_invented(store, account, change, expected):
    change(store)
    (one,) = close(store)
    assert (one.status, one.reason) == ("skipped", expected)
    assert not AccountSnapshot.objects.filter(source="close").exists()


def test_account_without_cash_or_book_stays_out_and_demos_are_not_asked(store):
    factories.make_account(NUMBER)
    factories.make_account("10000002", is_demo=True)
    factories.make_account("10000003", status="inactive")
    assert reason(store) == ("skipped", "its cash was never told")
    capital.update_capital(actors.trader(), NUMBER, 1, 1, 0, CLOSE - timedelta(days=1))
    assert reason(store) == ("skipped", "it has no book of positions")


def test_the_task_is_pending_until_everything_is_known(store, account):
    with clock.pinned(CLOSE + timedelta(days=1)):
        done = tasks.record_close.run()
        assert done["status"] == "pending"
        assert JobRun.objects.get().status == JobStatus.PENDING
        store.write_klines(factories.make_bars("600000.SH", days=3))
        done = tasks.record_close.run()
    assert done["status"] == "done"
    assert done["result"][0]["status"] == "recorded"
    assert JobRun.objects.get().attempts == 2
