from __future__ import annotations

import itertools
import logging
import os
import random
import shutil
import signal
import time
from datetime import date, datetime, timedelta

import pytest

from storage_app.contract.errors import Conflict, Unavailable
from storage_app.contract.types import WriteCount
from storage_app.models import TradeConflict
from storage_app.stores import journal as journals
from storage_app.stores.breaker import states
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.trades import FileTrades
from tests import servers
from tests.factories import make_trade
from tests.faults import writers
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

ACCOUNT = writers.ACCOUNT
CODE = "600000.SH"
_numbers = itertools.count()


@pytest.fixture
def store(clickhouse, data_dir):
    opened = create_data_store("hybrid")
    yield opened
    servers.CLICKHOUSE.start()
    opened.close()


@pytest.fixture
def outage():
    servers.CLICKHOUSE.kill()
    yield
    recover()


def recover():
    servers.CLICKHOUSE.start()
    wait_for(lambda: "clickhouse" not in states() or not states()["clickhouse"].is_open)


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


def record(store, **fields):
    number = next(_numbers)
    values = {
        "account_id": ACCOUNT,
        "timestamp": clock.now(),
        "code": CODE,
        "name": "浦发银行",
        "order_type": "buy_trade",
        "remark": f"{number}",
        "price": "10.500",
        "volume": 100,
        "trade_id": f"T-{number}",
    }
    return store.record_trade(**values | fields)


def owed(data_dir):
    entries, damage = journals.inspect(data_dir / "journal")
    assert not damage
    return [entry for entry in entries if not all(entry.marks)]


def uids_in_clickhouse():
    return [row["trade_uid"] for row in ClickHouseTrades().query_trades(ACCOUNT, limit=100_000)]


def uids_in_files(data_dir):
    return [row["trade_uid"] for row in FileTrades(data_dir).query_trades(ACCOUNT, limit=100_000)]


class TestHealthy:
    def test_a_caller_sees_at_once_what_it_wrote(self, store):
        for count in range(1, 6):
            uid = record(store)
            rows = store.query_trades(ACCOUNT)
            assert (rows[0]["trade_uid"], len(rows)) == (uid, count)
        assert [row["remark"] for row in store.iter_trades(ACCOUNT)] == [
            row["remark"] for row in reversed(store.query_trades(ACCOUNT))
        ]
        (total,) = store.aggregate_trades(ACCOUNT, clock.today(), clock.today(), "day")
        assert total["trade_count"] == 5

    def test_a_trade_reaches_the_server_and_the_files_and_is_retired(self, store, data_dir):
        uid = record(store)
        started = time.monotonic()
        wait_for(lambda: uids_in_clickhouse() == [uid])
        assert time.monotonic() - started < 2.0
        wait_for(lambda: uids_in_files(data_dir) == [uid])
        wait_for(lambda: not owed(data_dir))

    def test_a_fill_that_is_repeated_counts_once_and_one_that_differs_is_refused(self, store):
        first = record(store, trade_id="T", timestamp=clock.now().replace(microsecond=0))
        again = store.query_trades(ACCOUNT)[0]["timestamp"]
        assert record(store, trade_id="T", timestamp=again, remark=remark_of(store)) == first
        with pytest.raises(Conflict, match=r"price 10\.500, not 10\.510"):
            record(store, trade_id="T", timestamp=again, remark=remark_of(store), price="10.51")
        assert len(store.query_trades(ACCOUNT)) == 1

    def test_the_fills_of_the_last_days_are_known_after_a_restart(self, store, data_dir, outage):
        at = clock.now().replace(microsecond=0)
        record(store, trade_id="T", timestamp=at, remark="")
        store.close()
        later = create_data_store("hybrid")
        with pytest.raises(Conflict):
            record(later, trade_id="T", timestamp=at, remark="", volume=200)
        record(later, trade_id="T", timestamp=at, remark="")
        assert len(later.query_trades(ACCOUNT)) == 1
        later.close()

    def test_the_fills_of_the_last_days_are_known_from_the_files_alone(self, store, data_dir):
        at = clock.now().replace(microsecond=0)
        first = record(store, trade_id="T", timestamp=at, remark="")
        wait_for(lambda: not owed(data_dir))
        store.close()
        shutil.rmtree(data_dir / "journal")
        later = create_data_store("hybrid")
        with pytest.raises(Conflict):
            record(later, trade_id="T", timestamp=at, remark="", volume=200)
        assert record(later, trade_id="T", timestamp=at, remark="") == first
        assert not owed(data_dir)
        later.close()

    def test_a_fill_that_another_process_left_in_the_journal_is_known_at_once(
        self, store, data_dir, outage
    ):
        store.close()
        writer = writers.start(data_dir, "other")
        writer.stdout.readline()
        writer.kill()
        writer.communicate()
        later = create_data_store("hybrid")
        with pytest.raises(Conflict, match="already recorded with"):
            record(later, trade_id="other-0", price="10.51", remark="other 0")
        later.close()

    def test_a_fill_that_another_process_records_meanwhile_is_known_soon(self, store, data_dir):
        record(store)
        writer = writers.start(data_dir, "other")
        writer.stdout.readline()
        writer.kill()
        writer.communicate()
        wait_for(lambda: "other 0" in {row["remark"] for row in store.query_trades(ACCOUNT)})
        with pytest.raises(Conflict, match="already recorded with"):
            record(store, trade_id="other-0", price="10.51", remark="other 0")

    def test_a_damaged_file_keeps_no_trade_from_being_recorded(self, store, data_dir, caplog):
        record(store)
        wait_for(lambda: not owed(data_dir))
        store.close()
        (path,) = data_dir.glob(f"**/*{ACCOUNT}*/*.csv")
        path.write_bytes(b"\xff" + path.read_bytes()[1:])
        later = create_data_store("hybrid")
        uid = record(later)
        wait_for(lambda: uid in uids_in_clickhouse())
        assert "cannot be read" in caplog.text
        later.close()

    def test_an_older_conflict_is_left_to_a_person_and_holds_nothing_up(
        self, store, data_dir, caplog
    ):
        at = datetime.combine(clock.today() - timedelta(days=60), datetime.min.time())
        at = at.replace(hour=10, tzinfo=clock.SHANGHAI)
        ClickHouseTrades().write_trades([make_trade(timestamp=at, trade_id="OLD", price="9.90")])
        with caplog.at_level(logging.ERROR):
            uid = record(store, timestamp=at, trade_id="OLD", price="9.91")
            new = record(store)
            wait_for(lambda: TradeConflict.objects.exists() and not owed(data_dir))
        conflict = TradeConflict.objects.get()
        assert (conflict.trade_uid, conflict.offered["price"]) == (uid, "9.910")
        assert "already recorded with" in conflict.reason
        assert [r for r in caplog.records if "left for a person" in r.getMessage()]
        assert sorted(uids_in_clickhouse()) == sorted([uid, new])
        (old,) = store.query_trades(ACCOUNT, end_date=at.date())
        assert old["price"] == 9.9


def remark_of(store):
    return store.query_trades(ACCOUNT)[0]["remark"]


class TestOutage:
    def test_nothing_waits_and_queries_answer_from_the_files(self, store, data_dir):
        before = record(store)
        wait_for(lambda: not owed(data_dir))
        servers.CLICKHOUSE.kill()
        seconds, uids = [], [before]
        for _ in range(100):
            started = time.monotonic()
            uids.append(record(store))
            seconds.append(time.monotonic() - started)
        assert max(seconds) < 0.4
        assert sorted(seconds)[50] < 0.02
        started = time.monotonic()
        assert {row["trade_uid"] for row in store.query_trades(ACCOUNT)} == set(uids)
        assert time.monotonic() - started < 1.5
        assert {row["trade_uid"] for row in store.iter_trades(ACCOUNT)} == set(uids)
        (total,) = store.aggregate_trades(ACCOUNT, clock.today(), clock.today(), "day")
        assert total["trade_count"] == len(uids)
        recover()
        wait_for(lambda: not owed(data_dir))
        assert sorted(uids_in_clickhouse()) == sorted(uids)
        assert sorted(uids_in_files(data_dir)) == sorted(uids)
        assert [row["remark"] for row in store.iter_trades(ACCOUNT)] == [
            row["remark"] for row in FileTrades(data_dir).iter_trades(ACCOUNT)
        ]

    def test_a_frozen_server_holds_no_trade_up(self, store, data_dir):
        record(store)
        wait_for(lambda: not owed(data_dir))
        servers.CLICKHOUSE.freeze()
        try:
            seconds = []
            for _ in range(50):
                started = time.monotonic()
                record(store)
                seconds.append(time.monotonic() - started)
            assert max(seconds) < 0.45  # no timeout
            assert len(store.query_trades(ACCOUNT)) == 51
        finally:
            servers.CLICKHOUSE.thaw()
        recover()
        wait_for(lambda: not owed(data_dir))
        assert len(uids_in_clickhouse()) == 51

    def test_a_server_that_was_down_from_the_start_is_picked_up(self, clickhouse, data_dir):
        servers.CLICKHOUSE.kill()
        store = create_data_store("hybrid")
        uid = record(store)
        assert [row["trade_uid"] for row in store.query_trades(ACCOUNT)] == [uid]
        recover()
        wait_for(lambda: not owed(data_dir))
        assert uids_in_clickhouse() == [uid]
        store.close()

    def test_the_next_process_sends_what_another_left(self, store, data_dir, outage):
        uids = {record(store) for _ in range(5)}
        store.close()
        assert owed(data_dir)
        recover()
        later = create_data_store("hybrid")
        wait_for(lambda: not owed(data_dir))
        assert set(uids_in_clickhouse()) == uids
        later.close()

    def test_an_import_of_old_trades_waits_for_the_server(self, store, data_dir, outage):
        old = [make_trade(timestamp=datetime(2024, 3, 4, 10, n, tzinfo=clock.SHANGHAI))
               for n in range(3)]  # fmt: skip
        with pytest.raises(Unavailable, match="clickhouse"):
            store.write_trades(old)
        recover()
        assert store.write_trades(old) == WriteCount(new=3)
        assert store.write_trades(old) == WriteCount(same=3)
        wait_for(lambda: not owed(data_dir))
        assert len(uids_in_files(data_dir)) == 3


class TestSwitches:
    @pytest.mark.parametrize(
        "config",
        [
            {"enable_dual_write": True, "enable_auto_fallback": False},
            {"enable_dual_write": False, "enable_auto_fallback": True},
            {"enable_dual_write": False, "enable_auto_fallback": False},
        ],
    )
    def test_without_fallback_trades_are_acknowledged_and_reads_refused(
        self, clickhouse, data_dir, config, outage
    ):
        store = create_data_store("hybrid", config)
        uid = record(store)
        with pytest.raises(Unavailable, match="clickhouse"):
            store.query_trades(ACCOUNT)
        with pytest.raises(Unavailable, match="clickhouse"):
            list(store.iter_trades(ACCOUNT))
        with pytest.raises(Unavailable, match="clickhouse"):
            store.aggregate_trades(ACCOUNT, date(2026, 1, 1), date(2026, 12, 31))
        recover()
        wait_for(lambda: not owed(data_dir))
        assert [row["trade_uid"] for row in store.query_trades(ACCOUNT)] == [uid]
        assert uids_in_files(data_dir) == ([uid] if config["enable_dual_write"] else [])
        store.close()


class TestKilled:
    def test_a_fork_writes_and_sends_for_itself(self, store, data_dir):
        record(store)
        child = os.fork()
        if child == 0:
            try:
                record(store, trade_id="child")
                time.sleep(0.5)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        record(store)
        wait_for(lambda: not owed(data_dir))
        assert len(uids_in_clickhouse()) == 3

    @pytest.mark.parametrize("seed", [1, 2])
    def test_killed_writers_and_servers_lose_and_double_nothing(self, store, data_dir, seed):
        chance = random.Random(seed)
        acknowledged = []
        for turn in range(3):
            running = [writers.start(data_dir, f"{turn}{side}") for side in "ab"]
            for process in running:
                # However busy the machine is, it has been at work.
                acknowledged += [process.stdout.readline().rstrip() for _ in range(20)]
            if chance.random() < 0.7:
                servers.CLICKHOUSE.kill()
            for process in running:
                time.sleep(chance.uniform(0.1, 0.6))
                process.send_signal(signal.SIGKILL)
                acknowledged += process.communicate()[0].split("\n")[:-1]
            servers.CLICKHOUSE.start()
        recover()
        wait_for(lambda: not owed(data_dir), 40)
        rows = list(store.iter_trades(ACCOUNT))
        remarks = [row["remark"] for row in rows]
        assert len(acknowledged) > 50
        assert set(acknowledged) <= set(remarks)
        assert len(remarks) == len(set(remarks))
        assert remarks == [row["remark"] for row in FileTrades(data_dir).iter_trades(ACCOUNT)]
        for name in {remark.split()[0] for remark in remarks}:
            numbers = [int(r.split()[1]) for r in remarks if r.split()[0] == name]
            assert sorted(numbers) == list(range(len(numbers)))
            assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
