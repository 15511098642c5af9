"""How a hybrid store begins while servers are down or silent."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest
from django.db import connections

from storage_app.stores import breaker
from storage_app.stores.breaker import states
from storage_app.stores.compose import OPENING_DEADLINE, create_data_store
from tests import servers
from tests.faults.test_books import fill
from tests.faults.test_trades import ACCOUNT, CODE, owed, record, wait_for
from tests.faults.writers import ROOT

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse"),
]
# Two loaded cores need a moment for their threads.
SLACK = 0.5
SERVERS = {"clickhouse", "mysql", "redis"}


BEGINNER = """
import sys
from pathlib import Path
from tests.faults.writers import open_store
store = open_store(Path(sys.argv[1]))
print(store.get_strategy_params("Alpha"))
"""


@pytest.fixture
def down(data_dir):
    """Every server down, MariaDB in order since the one of the tests keeps its log in memory."""
    with_data = create_data_store("hybrid")
    fill(with_data)
    wait_for((data_dir / "snapshot" / "strategies" / "alpha_v2.json").exists)
    with_data.close()
    servers.MARIADB.stop()
    servers.REDIS.kill()
    servers.CLICKHOUSE.kill()
    yield
    recover()


@pytest.fixture
def silent():
    for server in servers.SERVERS:
        server.freeze()
    yield
    for server in servers.SERVERS:
        server.thaw()
    wait_until_all_are_well()


def recover():
    for server in servers.SERVERS:
        server.start()
    wait_until_all_are_well()


def wait_until_all_are_well():
    wait_for(lambda: not any(state.is_open for state in states().values()))


def test_a_healthy_start_says_nothing(data_dir, caplog):
    caplog.set_level(logging.INFO, "storage_app.stores")
    create_data_store("hybrid").close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_start_without_servers_is_prompt_and_one_line_in_the_log(down, data_dir, caplog):
    started = time.monotonic()
    store = create_data_store("hybrid")
    assert time.monotonic() - started < OPENING_DEADLINE + SLACK
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    text = line.getMessage()
    assert text.startswith("Begun without 3 of 3 servers: clickhouse: ")
    assert "; mysql: " in text
    assert "; redis: " in text
    assert {name for name, state in states().items() if state.is_open} >= SERVERS
    store.close()


def test_a_store_without_servers_works_from_files_from_the_first_call(down, data_dir):
    store = create_data_store("hybrid")
    assert store.get_strategy_params("Alpha") == {"slots": 12}
    assert store.get_account(ACCOUNT)["account_name"] == "主账户"
    assert store.open_positions(ACCOUNT, [CODE]) == [CODE]
    assert store.get_positions(ACCOUNT)[CODE].held_days == 0
    assert record(store) == store.query_trades(ACCOUNT)[0]["trade_uid"]
    assert {name for name, state in states().items() if state.refused} >= SERVERS
    recover()
    wait_for(lambda: not owed(data_dir))
    store.close()


@pytest.fixture
def no_probes(monkeypatch):
    """The background finds no server well; whoever asks may."""
    monkeypatch.setattr(breaker, "PROBE_SECONDS", 3600.0)


def test_a_store_that_begins_after_an_outage_finds_the_servers_well(data_dir, no_probes):
    first = create_data_store("hybrid")
    servers.CLICKHOUSE.kill()
    wait_for(lambda: is_refused(first))
    servers.CLICKHOUSE.start()
    assert is_refused(first)
    second = create_data_store("hybrid")
    assert second.query_trades(ACCOUNT) == first.query_trades(ACCOUNT) == []
    assert states()["clickhouse"].is_open is False
    first.close()
    second.close()


def test_a_health_check_that_finds_a_server_well_ends_its_outage(data_dir, no_probes):
    store = create_data_store("hybrid")
    servers.CLICKHOUSE.kill()
    wait_for(lambda: is_refused(store))
    assert store.health_check()["clickhouse"] == "down"
    assert states()["clickhouse"].is_open
    servers.CLICKHOUSE.start()
    wait_for(lambda: store.health_check()["clickhouse"] == "ok")
    assert not states()["clickhouse"].is_open
    store.close()


def is_refused(store):
    store.query_trades(ACCOUNT)
    return states()["clickhouse"].is_open


def test_silent_servers_hold_a_start_up_for_one_timeout(data_dir, silent):
    started = time.monotonic()
    store = create_data_store("hybrid")
    assert time.monotonic() - started < OPENING_DEADLINE + SLACK
    assert states()["redis"].is_open
    assert states()["clickhouse"].is_open
    started = time.monotonic()
    again = create_data_store("hybrid")
    assert time.monotonic() - started < OPENING_DEADLINE + SLACK
    again.close()
    store.close()


def test_a_program_that_begins_without_servers_gets_its_parameters(down, data_dir):
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    run = subprocess.run(
        [sys.executable, "-c", BEGINNER, str(data_dir)],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASES": json.dumps(names)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == "{'slots': 12}\n"
