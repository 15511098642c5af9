from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection

from storage_app.contract.errors import NotFound, Unavailable
from storage_app.models import Account, AuditEntry, ParamVersion
from storage_app.stores import orm
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from tests import servers
from tests.factories import make_account, make_strategy
from tests.waiting import quickest


@contextmanager
def outage():
    """The database of this run is gone: its server stopped, or its file out of reach."""
    connection.close()
    name = connection.settings_dict["NAME"]
    if connection.vendor == "mysql":
        servers.MARIADB.stop()
    else:
        connection.settings_dict["NAME"] = f"{name}/gone/for/now"
    try:
        yield
    finally:
        servers.MARIADB.start() if connection.vendor == "mysql" else None
        connection.settings_dict["NAME"] = name
        connection.close()


CALLS = {
    "create_account": lambda: OrmAccounts().create_account("55009728", "Main", "QMT", 1),
    "get_account": lambda: OrmAccounts().get_account("55009728"),
    "list_accounts": lambda: OrmAccounts().list_accounts(),
    "update_account_capital": lambda: OrmAccounts().update_account_capital("55009728", 1, 1, 0),
    "set_account_status": lambda: OrmAccounts().set_account_status("55009728", "inactive", "x"),
    "bind_strategy": lambda: OrmAccounts().bind_strategy("55009728", "Alpha", 1),
    "list_account_strategies": lambda: OrmAccounts().list_account_strategies("55009728"),
    "list_strategy_accounts": lambda: OrmAccounts().list_strategy_accounts("Alpha"),
    "create_strategy": lambda: OrmStrategies().create_strategy("Alpha", "a", "other", "1.0.0"),
    "list_strategies": lambda: OrmStrategies().list_strategies(),
    "get_strategy_params": lambda: OrmStrategies().get_strategy_params("Alpha"),
    "save_strategy_params": lambda: OrmStrategies().save_strategy_params("Alpha", {}),
    "activate_strategy_params": lambda: OrmStrategies().activate_strategy_params("Alpha", 1),
    "compare_strategy_params": lambda: OrmStrategies().compare_strategy_params("Alpha", 1, 1),
    "list_strategy_versions": lambda: OrmStrategies().list_strategy_versions("Alpha"),
    "ping": lambda: OrmAccounts().ping(),
}


@pytest.mark.django_db(transaction=True)
def test_every_call_says_unavailable_during_an_outage_soon_and_works_after_it():
    make_account("55009728")
    with outage():
        for call in CALLS.values():
            began = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.backend == connection.vendor
            assert time.monotonic() - began < 1
    assert OrmAccounts().get_account("55009728")["status"] == "active"
    assert not AuditEntry.objects.exists()


@pytest.fixture
def silent_port():
    """Accepts connections, as the kernel does for a frozen server, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_server_that_does_not_greet_costs_a_third_of_a_second(silent_port):
    def refused():
        with pytest.raises(Unavailable):
            orm._probe("127.0.0.1", silent_port)

    assert quickest(refused, 0.9)[1] < 0.9


def test_server_that_hangs_up_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        with pytest.raises(Unavailable, match="hangs up"):
            orm._probe("127.0.0.1", listener.getsockname()[1])
        hanging_up.join()


@pytest.mark.django_db(transaction=True)
def test_store_finds_a_restarted_server_again_without_help():
    """The connection was open when the server went; nobody closed it here."""
    store = OrmAccounts()
    make_account("55009728")
    assert store.get_account("55009728") is not None
    if connection.vendor == "mysql":
        servers.MARIADB.stop()
        servers.MARIADB.start()
    else:
        connection.connection.close()
    answers = [attempt(store) for _ in range(2)]
    assert answers[-1]["account_id"] == "55009728"


def attempt(store):
    try:
        return store.get_account("55009728")
    except Unavailable as exc:
        return exc


@pytest.mark.django_db(transaction=True)
def test_forked_child_uses_a_connection_of_its_own_and_leaves_the_parents_open():
    # A connection past CONN_MAX_AGE would be renewed, with or without a fork.
    connection.close()
    store = OrmAccounts()
    make_account("55009728")
    before = session_of_connection()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        found = store.get_account("55009728")
        own = session_of_connection() != before or connection.vendor == "sqlite"
        store.close()
        os.write(writing, b"ok" if found and own else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 2) == b"ok"
    assert store.get_account("55009728") is not None
    assert session_of_connection() == before


def session_of_connection():
    connection.ensure_connection()
    return connection.connection.thread_id() if connection.vendor == "mysql" else None


@pytest.mark.django_db
def test_reads_take_few_queries_however_many_rows(django_assert_num_queries):
    strategies = [make_strategy(params={"n": n}) for n in range(3)]
    for n, strategy in enumerate(strategies):
        account = make_account()
        OrmAccounts().bind_strategy(account.account_id, strategy.strategy_name, n + 1)
    with django_assert_num_queries(1):
        assert len(OrmAccounts().list_accounts()) == 3
    with django_assert_num_queries(1):
        assert OrmAccounts().get_account(account.account_id)
    with django_assert_num_queries(1):
        assert len(OrmStrategies().list_strategies()) == 3
    with django_assert_num_queries(1):
        assert OrmStrategies().get_strategy_params(strategy.strategy_name) == {"n": 2}
    with django_assert_num_queries(2):
        assert OrmAccounts().list_account_strategies(account.account_id)
    with django_assert_num_queries(2):
        assert OrmAccounts().list_strategy_accounts(strategy.strategy_name)
    with django_assert_num_queries(2):
        assert OrmStrategies().list_strategy_versions(strategy.strategy_name)


@pytest.mark.django_db
def test_calls_of_a_program_are_written_down_as_those_of_the_trader():
    OrmAccounts().create_account("55009728", "Main", "QMT", 1)
    OrmStrategies().create_strategy("Alpha", "alpha", "other", "1.0.0")
    OrmStrategies().save_strategy_params("Alpha", {"n": 1})
    OrmAccounts().bind_strategy("55009728", "Alpha", 1)
    assert {entry.actor.partition("@")[0] for entry in AuditEntry.objects.all()} == {"trader"}
    assert AuditEntry.objects.count() == 4


@pytest.mark.django_db
def test_database_itself_refuses_what_the_services_would_never_write():
    from django.db import IntegrityError, transaction

    make_account("55009728")
    strategy = make_strategy("Alpha", {"n": 1})
    for wrong in (
        lambda: make_account("55009729", initial_capital=0),
        lambda: make_account("55009728"),
        lambda: ParamVersion.objects.create(strategy=strategy, version=1, params={}, actor="x"),
        lambda: make_strategy("Alpha"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            wrong()
    assert Account.objects.count() == 1


@pytest.mark.django_db
def test_business_errors_are_not_taken_for_an_outage():
    with pytest.raises(NotFound):
        OrmAccounts().set_account_status("55009728", "inactive", "gone")


def test_component_is_the_database_of_this_run():
    assert OrmAccounts().component == OrmStrategies().component == connection.vendor
