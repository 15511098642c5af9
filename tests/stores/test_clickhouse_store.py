from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_driver.errors import ServerException

from storage_app.contract.errors import Unavailable
from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
from tests import servers
from tests.factories import make_bars, make_trade
from trades_app import bar_cache, connection

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

ACCOUNT = "55009728"
CODE = "600000.SH"
# One timeout of half a second and what a busy machine adds.
PATIENCE = 0.9


@pytest.fixture
def trades(clickhouse, data_dir):
    store = ClickHouseTrades()
    yield store
    store.close()


@pytest.fixture
def klines(clickhouse, data_dir):
    store = ClickHouseKlines()
    yield store
    store.close()


@pytest.fixture
def frozen_server():
    """A server that is there and does not answer."""
    servers.CLICKHOUSE.freeze()
    yield
    servers.CLICKHOUSE.thaw()


def seconds_to_refuse(call):
    started = time.monotonic()
    with pytest.raises(Unavailable, match="clickhouse"):
        call()
    return time.monotonic() - started


class TestOutage:
    def test_a_server_that_is_gone_is_told_at_once_and_used_again_when_back(self, trades):
        trades.write_trades([make_trade()])
        servers.CLICKHOUSE.kill()
        calls = [
            trades.ping,
            lambda: trades.query_trades(ACCOUNT),
            lambda: list(trades.iter_trades(ACCOUNT)),
            lambda: trades.write_trades([make_trade()]),
            lambda: trades.aggregate_trades(ACCOUNT, "2026-01-01", "2026-12-31"),
        ]
        for call in calls:
            assert seconds_to_refuse(call) < PATIENCE
        servers.CLICKHOUSE.start()
        trades.ping()
        assert len(trades.query_trades(ACCOUNT)) == 1

    def test_a_connection_of_before_a_restart_is_replaced_without_an_error(self, trades):
        trades.write_trades([make_trade()])
        servers.CLICKHOUSE.stop()
        servers.CLICKHOUSE.start()
        assert len(trades.query_trades(ACCOUNT)) == 1

    def test_a_frozen_server_costs_one_timeout_on_an_open_connection(self, trades, frozen_server):
        assert seconds_to_refuse(trades.ping) < PATIENCE

    def test_a_frozen_server_costs_one_timeout_on_a_new_connection(self, trades, frozen_server):
        connection.close_idle()
        assert seconds_to_refuse(trades.ping) < PATIENCE

    def test_a_mistake_in_the_database_is_not_an_outage(self, trades, clickhouse):
        with clickhouse.cursor() as cursor:
            cursor.execute("RENAME TABLE trade TO trade_away")
        try:
            with pytest.raises(ServerException, match="trade"):
                trades.query_trades(ACCOUNT)
        finally:
            with clickhouse.cursor() as cursor:
                cursor.execute("RENAME TABLE trade_away TO trade")


class TestConnections:
    def test_threads_do_not_disturb_each_other(self, trades):
        trades.write_trades([make_trade() for _ in range(30)])
        with ThreadPoolExecutor(12) as pool:
            counts = pool.map(lambda _: len(trades.query_trades(ACCOUNT)), range(200))
        assert set(counts) == {30}

    def test_a_forked_child_leaves_the_connection_of_its_parent_alone(self, trades):
        trades.write_trades([make_trade() for _ in range(3)])
        child = os.fork()
        if not child:
            os._exit(len(trades.query_trades(ACCOUNT)))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        assert len(trades.query_trades(ACCOUNT)) == 3

    def test_few_connections_stay_open(self, trades):
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: trades.ping(), range(36)))
        idle = connection._current_pool()._idle[False]
        assert 1 <= len(idle) <= connection.IDLE_CLIENTS
        trades.close()
        assert not idle
        trades.close()
        trades.ping()

    def test_an_abandoned_iteration_is_not_read_on_by_the_next_query(self, trades):
        trades.write_trades([make_trade() for _ in range(30_000)])
        rows = trades.iter_trades(ACCOUNT)
        next(rows)
        del rows
        assert len(trades.query_trades(ACCOUNT, limit=10)) == 10


def import_bars(first_close, serial):
    if serial == 0:
        ClickHouseKlines().write_klines(make_bars(days=3, first_close=first_close))


class TestCache:
    def test_a_repeated_read_does_not_ask_the_server(self, klines):
        klines.write_klines(make_bars(days=3))
        before = klines.get_kline(CODE, days=2)
        servers.CLICKHOUSE.freeze()
        try:
            assert klines.get_kline(CODE, days=2).equals(before)
            with pytest.raises(Unavailable):
                klines.get_kline(CODE, days=1)
        finally:
            servers.CLICKHOUSE.thaw()

    def test_an_import_by_another_process_is_seen_by_the_next_read(self, klines, children):
        for round_number in range(5):
            children.race(import_bars, 10.0 + round_number, threads=1)
            assert klines.get_kline(CODE, days=3)["close"].iloc[0] == 10.0 + round_number
            assert klines.get_kline(CODE, days=3)["close"].iloc[0] == 10.0 + round_number

    def test_what_nobody_announced_is_seen_when_the_answer_has_aged(self, klines, clickhouse):
        klines.write_klines(make_bars(days=3))
        assert len(klines.get_kline(CODE)) == 3
        with clickhouse.cursor() as cursor:
            cursor.execute("TRUNCATE TABLE daily_kline")
        time.sleep(bar_cache.MAX_AGE + 0.1)
        assert klines.get_kline(CODE).empty

    def test_a_failed_import_empties_the_cache_too(self, klines):
        before = bar_cache.read_stamp()
        servers.CLICKHOUSE.kill()
        try:
            with pytest.raises(Unavailable):
                klines.write_klines(make_bars(days=3))
        finally:
            servers.CLICKHOUSE.start()
        assert bar_cache.read_stamp() != before

    def test_the_cache_is_bounded(self):
        cache = bar_cache.FreshCache(max_entries=3)
        for number in range(5):
            cache.put(number, None, number)
        cache.get(2, None)
        cache.put(5, None, 5)
        assert [cache.get(number, None) for number in range(6)] == [None, None, 2, None, 4, 5]

    def test_stamps_of_one_instant_differ(self, data_dir):
        stamps = set()
        for _ in range(200):
            with bar_cache.changing_bars():
                pass
            stamps.add(bar_cache.read_stamp())
        assert len(stamps) == 200


def test_big_batches_are_written_and_recognised(trades, caplog):
    caplog.set_level(logging.WARNING)
    batch = [make_trade() for _ in range(12_000)]
    assert trades.write_trades(batch).new == 12_000
    assert trades.write_trades(batch).same == 12_000
    assert len(trades.query_trades(ACCOUNT, limit=20_000)) == 12_000
    assert not caplog.records
