"""Accounts, strategies and bars while their servers are down.

MariaDB is stopped, not killed: the one of the tests keeps its log in memory.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import date, timedelta

import pytest
from django.db import transaction

from storage_app.contract.errors import Conflict, NotFound, Unavailable
from storage_app.models import Account
from storage_app.services import strategies as strategy_services
from storage_app.services.actors import trader
from storage_app.stores import journal as journals
from storage_app.stores.breaker import Breaker, states
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.strategies import FileStrategies
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from tests import servers
from tests.factories import make_bars
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
]

ACCOUNT = "55009728"
CODE = "600000.SH"


@pytest.fixture
def store(transactional_db, clickhouse, redis_server, data_dir):
    opened = create_data_store("hybrid")
    yield opened
    recover()
    opened.close()


def recover():
    for server in (servers.MARIADB, servers.CLICKHOUSE):
        server.start()
    wait_for(lambda: not any(state.is_open for state in states().values()))


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


def owed(data_dir):
    entries, _ = journals.inspect(data_dir / "journal")
    return [entry for entry in entries if not all(entry.marks)]


def fill(store):
    store.create_account(ACCOUNT, "主账户", "QMT", 1_000_000)
    store.create_strategy("Alpha", "alpha", "wencai", "1.0.0")
    store.save_strategy_params("Alpha", {"slots": 10})
    store.save_strategy_params("Alpha", {"slots": 12}, "more")
    store.bind_strategy(ACCOUNT, "Alpha", 500_000)


def reads(store):
    return [
        store.get_account(ACCOUNT),
        store.get_account("00000000"),
        store.list_accounts(),
        store.list_accounts("suspended"),
        store.list_account_strategies(ACCOUNT),
        store.list_strategy_accounts("Alpha"),
        store.list_strategies(),
        store.get_strategy_params("Alpha"),
        store.get_strategy_params("Alpha", 1),
        store.compare_strategy_params("Alpha", 1, 2),
        store.list_strategy_versions("Alpha"),
    ]


def test_every_read_answers_the_same_from_the_snapshot(store):
    fill(store)
    before = reads(store)
    servers.MARIADB.stop()
    assert reads(store) == before
    with pytest.raises(NotFound):
        store.get_strategy_params("Beta")


def test_after_the_first_timeout_reads_are_prompt(store):
    fill(store)
    servers.MARIADB.stop()
    store.get_strategy_params("Alpha")
    started = time.monotonic()
    for _ in range(20):
        store.get_strategy_params("Alpha")
    assert (time.monotonic() - started) / 20 < 0.1


def test_numbers_and_versions_are_not_forked_during_an_outage(store):
    fill(store)
    servers.MARIADB.stop()
    for write in (
        lambda: store.create_account("66001234", "Zweites", "QMT", 1),
        lambda: store.save_strategy_params("Alpha", {"slots": 1}),
        lambda: store.activate_strategy_params("Alpha", 1),
        lambda: store.set_account_status(ACCOUNT, "suspended", "test"),
    ):
        with pytest.raises(Unavailable, match="not possible until it is back"):
            write()
    recover()
    assert store.save_strategy_params("Alpha", {"slots": 1}) == 3
    with pytest.raises(Conflict):
        store.create_account(ACCOUNT, "Again", "QMT", 1)


def test_a_trader_who_starts_during_an_outage_gets_the_active_parameters(store, data_dir):
    fill(store)
    store.activate_strategy_params("Alpha", 1)
    store.close()
    servers.MARIADB.stop()
    later = create_data_store("hybrid")
    assert later.get_strategy_params("Alpha") == {"slots": 10}
    later.close()


def test_what_the_admin_commits_is_in_the_snapshot_at_once(store):
    fill(store)
    strategy_services.save_params(trader(), "Alpha", {"slots": 99}, "by hand")
    servers.MARIADB.stop()
    assert store.get_strategy_params("Alpha") == {"slots": 99}


def test_what_was_acknowledged_is_shown_though_the_snapshot_could_not_be_refreshed(
    store, monkeypatch
):
    fill(store)
    for dump in (OrmAccounts, OrmStrategies):
        monkeypatch.setattr(dump, "dump", lambda _: servers.MARIADB.stop() or refuse())
    assert store.save_strategy_params("Alpha", {"slots": 50}) == 3
    assert store.get_strategy_params("Alpha") == {"slots": 50}
    recover()
    store.update_account_capital(ACCOUNT, 130, 330, 200)
    assert store.get_account(ACCOUNT)["total_assets"] == 330
    servers.MARIADB.stop()
    assert store.get_account(ACCOUNT)["total_assets"] == 330


def test_no_acknowledged_change_is_missing_in_a_snapshot_that_could_not_be_refreshed(
    store, data_dir, monkeypatch
):
    fill(store)
    with suppress(ZeroDivisionError), transaction.atomic():
        # What is undone leaves a gap in the numbers of accounts.
        store.create_account("66000000", "Undone", "QMT", 1)
        raise ZeroDivisionError
    store.create_strategy("Beta", "beta", "wencai", "1.0.0")
    for dump in (OrmAccounts, OrmStrategies):
        monkeypatch.setattr(dump, "dump", lambda _: refuse())
    for change in (
        lambda: store.create_strategy("Gamma", "gamma", "wencai", "1.0.0"),
        lambda: store.activate_strategy_params("Alpha", 1),
        lambda: store.create_account("66001234", "Zweites", "QMT", 1),
        lambda: store.bind_strategy(ACCOUNT, "Beta", 1),
        lambda: store.set_account_status("66001234", "suspended", "test"),
    ):
        recover()  # the breaker opens with each
        change()
    snapshot = data_dir / "snapshot"
    files, database = FileAccounts(snapshot), OrmAccounts()
    bound = database.list_account_strategies(ACCOUNT)
    assert files.list_account_strategies(ACCOUNT) == bound
    assert files.list_accounts() == database.list_accounts()
    assert FileStrategies(snapshot).list_strategies() == OrmStrategies().list_strategies()


def refuse():
    raise Unavailable("mysql", "it stopped in this moment")


def test_what_another_process_committed_is_there_after_a_start(store, data_dir):
    fill(store)
    wait_for((data_dir / "snapshot" / "strategies" / "alpha_v2.json").exists)
    store.close()
    strategy_services.save_params(trader(), "Alpha", {"slots": 77}, "elsewhere")
    later = create_data_store("hybrid")
    wait_for((data_dir / "snapshot" / "strategies" / "alpha_v3.json").exists)
    wait_for(lambda: '"active_version": 3' in index_of(data_dir))
    servers.MARIADB.stop()
    assert later.get_strategy_params("Alpha") == {"slots": 77}
    later.close()


def index_of(data_dir):
    return (data_dir / "snapshot" / "strategies" / "strategies.json").read_text()


def test_without_a_snapshot_an_outage_is_no_empty_answer(transactional_db, data_dir):
    servers.MARIADB.stop()
    try:
        store = create_data_store("hybrid")
        with pytest.raises(Unavailable, match="no snapshot"):
            store.get_account(ACCOUNT)
        with pytest.raises(Unavailable):
            store.update_account_capital(ACCOUNT, 1, 2, 1)
    finally:
        recover()
    store.close()


def test_capital_is_journalled_shown_and_replayed(store, data_dir):
    fill(store)
    store.update_account_capital(ACCOUNT, 100, 300, 200)
    servers.MARIADB.stop()
    store.update_account_capital(ACCOUNT, 110, 310, 200)
    store.update_account_capital(ACCOUNT, 120, 320, 200)
    assert store.get_account(ACCOUNT)["total_assets"] == 320
    with pytest.raises(Unavailable):
        store.update_account_capital("00000000", 1, 2, 1)
    recover()
    assert store.get_account(ACCOUNT)["total_assets"] == 320
    wait_for(lambda: not owed(data_dir))
    assert Account.objects.get(account_id=ACCOUNT).total_assets == 320
    assert Account.objects.get(account_id=ACCOUNT).snapshots.get().total_assets == 320


def test_a_database_that_is_back_between_two_looks_at_it_is_not_asked_for_owed_capital(
    store, data_dir, monkeypatch
):
    fill(store)
    store.update_account_capital(ACCOUNT, 100, 300, 200)
    servers.MARIADB.stop()
    # Nobody brings the database what it is owed.
    with journals.Journal(data_dir / "journal").draining(10) as is_mine:
        assert is_mine
        store.update_account_capital(ACCOUNT, 120, 320, 200)
        servers.MARIADB.start()
        monkeypatch.setattr(Breaker, "is_open", property(found_well_after(Breaker.is_open.fget)))
        monkeypatch.setattr(Breaker, "check", found_well_after(Breaker.check))
        assert store.get_account(ACCOUNT)["total_assets"] == 320
        assert not states()["mysql"].is_open
        assert store.get_account(ACCOUNT)["total_assets"] == 320
    monkeypatch.undo()


def found_well_after(look):
    """Have a probe end right after each look at a breaker."""

    def look_and_find_well(breaker):
        try:
            return look(breaker)
        finally:
            breaker.found_well()

    return look_and_find_well


def test_late_capital_does_not_replace_newer(store, data_dir):
    fill(store)
    servers.MARIADB.stop()
    now = clock.now()
    with clock.pinned(now - timedelta(minutes=5)):
        store.update_account_capital(ACCOUNT, 110, 310, 200)
    servers.MARIADB.start()
    other = create_data_store("mysql")
    other.update_account_capital(ACCOUNT, 500, 700, 200)
    recover()
    wait_for(lambda: not owed(data_dir))
    assert store.get_account(ACCOUNT)["total_assets"] == 700


@pytest.mark.parametrize(
    "config", [{"enable_dual_write": False}, {"enable_auto_fallback": False}], ids=str
)
def test_without_fallback_reads_are_refused_and_capital_is_kept(transactional_db, data_dir, config):
    store = create_data_store("hybrid", config)
    fill(store)
    servers.MARIADB.stop()
    try:
        with pytest.raises(Unavailable):
            store.get_account(ACCOUNT)
        store.update_account_capital(ACCOUNT, 100, 300, 200)
    finally:
        recover()
    wait_for(lambda: not owed(data_dir))
    assert store.get_account(ACCOUNT)["total_assets"] == 300
    assert (data_dir / "snapshot").exists() == config.get("enable_dual_write", True)
    store.close()


def test_bars_come_from_the_csv_tree_and_a_missing_file_is_an_outage(store, data_dir):
    bars = make_bars(CODE, days=30, start=date(2026, 2, 2))
    store.write_klines(bars)
    files = create_data_store("file")
    files.write_klines(bars)
    healthy = store.get_kline(CODE, days=10)
    servers.CLICKHOUSE.kill()
    assert store.get_kline(CODE, days=10).equals(healthy)
    assert list(store.batch_get_kline([CODE, "600036.SH"])) == [CODE, "600036.SH"]
    with pytest.raises(Unavailable, match="no such bars"):
        store.get_kline("600036.SH")
    with pytest.raises(Unavailable, match="not possible until it is back"):
        store.write_klines(bars)
