from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from storage_app.contract.errors import Conflict, InvalidInput, Unsupported
from storage_app.contract.roles import AccountBook, PositionStore, TradeLedger
from storage_app.contract.rules import Capital
from storage_app.stores import fills
from storage_app.stores.compose import create_data_store
from tests import servers
from tests.silverquant.conftest import ACCOUNT, wait_for
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("trading_morning", "clickhouse"),
]

BOOK = f"{ACCOUNT}/swing"
CODE = "600000.SH"
AFTER = Capital(Decimal("1000000"), Decimal("989500"), Decimal("10500"))


class Died(BaseException):
    """The process is gone: nobody catches this."""


def fill(store, side="BUY", volume=1000, *, book=BOOK, trade_id="T1", price="10.5", **more):
    moment = "1772415060"  # 2026-03-02 09:31
    return store.record_fill(
        book, moment, CODE, "浦发银行", side, price, volume, "swing", trade_id=trade_id, **more
    )


def fills_of(store):
    rows = store.query_trades(ACCOUNT)
    return sorted((row["trade_id"], row["order_type"], row["volume"]) for row in rows)


def volume_of(store, book=BOOK):
    state = store.get_positions(book).get(CODE)
    return state and state.volume


def cash_of(store):
    return store.get_account(ACCOUNT)["current_capital"]


def test_one_fill_moves_position_ledger_and_capital(store):
    outcome = fill(store, capital=AFTER, order_id="O1")
    assert outcome.is_new
    assert outcome.is_applied
    assert outcome.position.volume == 1000
    assert (outcome.position.held_days, volume_of(store)) == (0, 1000)
    (row,) = store.query_trades(ACCOUNT)
    assert row["trade_uid"] == outcome.trade_uid
    assert (row["order_id"], row["strategy_name"], row["price"]) == ("O1", "swing", 10.5)
    account = store.get_account(ACCOUNT)
    assert account["current_capital"] == 989500
    assert account["total_assets"] == 1_000_000
    assert account["position_value"] == 10500


def test_a_repeated_callback_changes_nothing_even_in_another_process(store, mode):
    first = fill(store)
    fill(store, "SELL", 400, trade_id="T2")
    again = create_data_store(mode)
    repeated = fill(again)
    again.close()
    assert (repeated.trade_uid, repeated.is_new) == (first.trade_uid, False)
    assert repeated.position.volume == volume_of(store) == 600
    assert fills_of(store) == [("T1", "buy_trade", 1000), ("T2", "sell_trade", 400)]


def test_a_repeat_may_have_learnt_a_name_but_not_another_volume(store):
    fill(store)
    assert not fill(store, remark="learnt since").is_new
    with pytest.raises(Conflict, match=r"T1 .* volume 1000, not 900"):
        fill(store, volume=900)
    assert volume_of(store) == 1000


def test_a_sell_of_everything_closes_and_of_a_part_keeps_age_and_extremes(store):
    fill(store)
    store.update_held_days(CODE, 3, BOOK)
    store.raise_extremes(BOOK, {CODE: (11.0, 10.0)})
    part = fill(store, "SELL", 300, trade_id="T2").position
    assert (part.held_days, part.max_price, part.volume) == (3, 11.0, 700)
    assert fill(store, "SELL", 700, trade_id="T3").position is None
    assert CODE not in store.get_positions(BOOK)


def test_without_the_word_of_the_broker_known_cash_moves_by_the_amount(store):
    assert fill(store).position.volume == 1000
    assert cash_of(store) is None, "nobody knows the cash yet"
    store.update_account_capital(ACCOUNT, 900_000, 1_000_000, 100_000)
    fill(store, "SELL", 200, trade_id="T2", price=11)
    wait_for(lambda: cash_of(store) == 902_200)
    assert store.get_account(ACCOUNT)["position_value"] == 97_800


def test_of_two_fills_the_one_that_is_recorded_last_counts_both(store):
    store.update_account_capital(ACCOUNT, 900_000, 1_000_000, 100_000)
    with clock.pinned(clock.now() - timedelta(minutes=1)):
        waited = fills.new_fill(
            BOOK, "1772415060", CODE, "浦发银行", "BUY", "10.5", 1000, trade_id="T1"
        )
    fill(store, "BUY", 200, trade_id="T2", price=10)
    store._fills.record(waited)
    wait_for(lambda: cash_of(store) == 887_500)


def test_an_account_that_nobody_opened_keeps_its_fills(store):
    outcome = fill(store, book="99999999", capital=AFTER)
    assert outcome.is_applied
    assert len(store.query_trades("99999999")) == 1


@pytest.mark.parametrize("role", [PositionStore, TradeLedger, AccountBook])
def test_a_process_that_dies_between_the_parts_leaves_nothing_half_done(
    store, mode, monkeypatch, role
):
    """Die right after each part; the store that is opened next finishes the work."""
    method = {
        PositionStore: "apply_fill", TradeLedger: "write_trades", AccountBook: "record_capital"
    }[role]  # fmt: skip
    backend = store._backends[role]
    original = getattr(backend, method)

    def die(*args, **kwargs):
        original(*args, **kwargs)
        raise Died

    monkeypatch.setattr(backend, method, die, raising=False)
    with pytest.raises(Died):
        fill(store, capital=AFTER)
    monkeypatch.undo()
    heir = create_data_store(mode)
    assert volume_of(heir) == 1000
    assert fills_of(heir) == [("T1", "buy_trade", 1000)]
    wait_for(lambda: cash_of(heir) == 989500)
    assert not fill(heir, capital=AFTER).is_new
    heir.close()


def test_the_next_fill_waits_for_the_one_that_a_dead_process_left(store, monkeypatch):
    def die(*args, **kwargs):
        raise Died

    monkeypatch.setattr(store._backends[PositionStore], "apply_fill", die, raising=False)
    with pytest.raises(Died):
        fill(store)
    monkeypatch.undo()
    assert fill(store, "SELL", 1000, trade_id="T2").position is None
    assert fills_of(store) == [("T1", "buy_trade", 1000), ("T2", "sell_trade", 1000)]


def test_fills_need_no_server(redis, clickhouse, data_dir):
    store = create_data_store("hybrid")
    store.create_account(ACCOUNT, "Main", "QMT", 1_000_000)
    servers.REDIS.kill()
    servers.CLICKHOUSE.kill()
    try:
        assert fill(store, capital=AFTER).position.volume == 1000
        assert fill(store, "SELL", 400, trade_id="T2").is_applied
        assert volume_of(store) == 600
        assert len(fills_of(store)) == 2
    finally:
        servers.REDIS.start()
        servers.CLICKHOUSE.start()
    wait_for(lambda: not store.owed())
    redis_only, clickhouse_only = create_data_store("redis"), create_data_store("clickhouse")
    assert volume_of(redis_only) == 600
    assert len(fills_of(clickhouse_only)) == 2
    store.close()


def test_what_no_store_accepts_is_refused_before_it_is_written(store):
    for wrong in ({"trade_id": ""}, {"volume": 0}, {"price": -1}, {"side": "buy"}, {"book": "x"}):
        with pytest.raises(InvalidInput):
            fill(store, **wrong)
    assert store.query_trades(ACCOUNT) == []


def test_a_mode_that_lacks_a_part_says_which_modes_have_all(redis, data_dir):
    with pytest.raises(Unsupported, match="file or hybrid"):
        fill(create_data_store("redis"))
