"""How a program with an open hybrid store ends, and what it leaves to the next one."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from django.db import connection, connections

from storage_app.models import Account
from storage_app.services.signals import book_changed
from storage_app.stores import mirrored_reads
from storage_app.stores.compose import create_data_store
from tests import servers
from tests.faults.test_trades import owed, recover, uids_in_clickhouse, wait_for
from tests.faults.writers import ACCOUNT, ROOT

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse"),
]

# A program that waits for a server or a thread takes half a minute and more.
PROMPT = 8.0
PROGRAM = """
import sys
from pathlib import Path
from tests.faults.writers import ACCOUNT, open_store
store = open_store(Path(sys.argv[1]))
from trades_app.market import clock
store.list_accounts()
store.open_positions(ACCOUNT, ["600000.SH"])
for number in range(3):
    print(store.record_trade(
        ACCOUNT, clock.now(), "600000.SH", "浦发银行", "buy_trade", "", "10.5", 100,
        trade_id=str(number)), flush=True)
print("ends", flush=True)
"""


def run_program(data_dir, how=""):
    """Run a program that never closes its store; return what it wrote and how long its end took."""
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    environment = {**os.environ, "TEST_DATABASES": json.dumps(names)}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + how, str(data_dir)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = [program.stdout.readline().strip() for _ in range(4)]
    started = time.monotonic()
    _, errors = program.communicate(timeout=60)
    return lines[:3], time.monotonic() - started, program.returncode, errors


@pytest.fixture
def outage():
    servers.CLICKHOUSE.kill()
    yield
    recover()


def test_a_program_that_closes_nothing_has_sent_all_when_it_ends(data_dir):
    uids, seconds, status, errors = run_program(data_dir)
    assert (status, errors) == (0, "")
    assert seconds < PROMPT
    assert sorted(uids_in_clickhouse()) == sorted(uids)
    assert not owed(data_dir)


def test_a_program_that_ends_in_an_outage_leaves_what_it_owes(data_dir, outage):
    uids, seconds, status, _ = run_program(data_dir)
    assert status == 0
    assert seconds < PROMPT
    assert len([entry for entry in owed(data_dir) if entry.kind == "trades"]) == 3
    recover()
    store = create_data_store("hybrid")
    wait_for(lambda: not owed(data_dir))
    assert sorted(uids_in_clickhouse()) == sorted(uids)
    store.close()


def test_a_program_that_ends_by_an_error_or_a_frozen_server_ends_promptly(data_dir):
    servers.CLICKHOUSE.freeze()
    try:
        uids, seconds, status, errors = run_program(data_dir, "raise SystemExit(3)")
    finally:
        servers.CLICKHOUSE.thaw()
    assert (status, len(set(uids))) == (3, 3)
    assert seconds < PROMPT
    assert "Traceback" not in errors


def threads():
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name in ("outbox", "journal sync", "probes")]


class TestClosing:
    def test_a_closed_store_leaves_no_thread_and_hears_of_no_change(self, data_dir):
        store = create_data_store("hybrid")
        assert threads() == ["outbox"]
        assert book_changed.receivers
        store.close()
        store.close()
        assert threads() == []
        assert book_changed.receivers == []

    def test_a_dropped_store_ends_as_a_closed_one(self, data_dir):
        store = create_data_store("hybrid")
        store.list_accounts()
        del store
        gc.collect()
        wait_for(lambda: not threads())
        assert book_changed.receivers == []

    def test_one_of_two_stores_goes_on_when_the_other_is_closed(self, data_dir):
        first, second = create_data_store("hybrid"), create_data_store("hybrid")
        first.close()
        second.create_strategy("Alpha", "alpha", "wencai", "1.0.0")
        second.save_strategy_params("Alpha", {"slots": 10})
        snapshot = data_dir / "snapshot" / "strategies" / "alpha_v1.json"
        wait_for(snapshot.exists)
        second.close()
        assert threads() == []


class TestConnections:
    def test_a_closed_store_leaves_no_connection_open(self, data_dir):
        before = others()
        store = create_data_store("hybrid")
        store.list_accounts()
        wait_for((data_dir / "snapshot" / "accounts.json").exists)
        store.health_check()
        store.close()
        wait_for(lambda: others() <= before)

    def test_the_background_outlives_its_connection(self, data_dir, monkeypatch):
        monkeypatch.setattr(mirrored_reads, "SNAPSHOT_SECONDS", 0.2)
        store = create_data_store("hybrid")
        store.create_account(ACCOUNT, "before", "QMT", 1)
        snapshot = data_dir / "snapshot" / "accounts.json"
        wait_for(lambda: snapshot.exists() and "before" in snapshot.read_text())
        ours = others()
        with connection.cursor() as cursor:
            for number in ours:
                cursor.execute(f"KILL {number}")
            # Without the signal that a service would send.
            cursor.execute(f"UPDATE {Account._meta.db_table} SET account_name = 'afterwards'")
        wait_for(lambda: "afterwards" in snapshot.read_text())
        store.close()


def others():
    """Return the numbers of all connections of the test user but this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE user = 'app' AND id != CONNECTION_ID()"
        )
        return {number for (number,) in cursor.fetchall()}
