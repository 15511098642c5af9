from __future__ import annotations

import io
import json
import logging
import time

import pytest
from django.core.management import CommandError, call_command

from storage_app.contract.roles import PositionStore
from storage_app.stores import compose
from storage_app.stores import journal as journals
from storage_app.stores.slow import watched
from tests import servers
from tests.faults.test_trades import ACCOUNT, owed, record, recover, wait_for
from tests.faults.test_trades import outage as outage
from tests.faults.test_trades import store as store

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])


def run(*arguments):
    out = io.StringIO()
    status = 0
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except SystemExit as exc:
        status = exc.code
    except CommandError as exc:
        status = exc.returncode
        out.write(str(exc))
    return status, out.getvalue()


def test_health_is_degraded_while_writes_are_owed_for_long(store, redis, monkeypatch):
    monkeypatch.setattr(compose, "OWED_PATIENCE", 0.0)
    assert set(store.health_check().values()) == {"ok"}
    servers.CLICKHOUSE.kill()
    record(store)
    assert store.health_check()["clickhouse"] == "down"
    assert store.owed()["trades"]["count"] == 1
    servers.CLICKHOUSE.start()
    assert store.health_check()["clickhouse"] == "degraded"
    recover()
    wait_for(lambda: not store.owed())
    assert set(store.health_check().values()) == {"ok"}


def test_storage_health_tells_programs_by_its_status(store, redis):
    assert run("storage_health")[0] == 0
    servers.CLICKHOUSE.kill()
    record(store)
    status, text = run("storage_health", "--json")
    report = json.loads(text)
    assert (status, report["components"]["clickhouse"]) == (2, "down")
    assert report["owed"]["trades"]["count"] == 1
    assert "owed: 1 trades" in run("storage_health")[1]


def test_the_journal_tells_what_is_owed_and_replays_it(store, data_dir):
    servers.CLICKHOUSE.kill()
    uid = record(store)
    status, text = run("journal", "status")
    assert status == 1
    assert "owed to a server: 1 trades" in text
    _, text = run("journal", "inspect", "--owed")
    assert (uid in text, ACCOUNT in text, len(text.splitlines())) == (True, True, 1)
    assert run("journal", "replay", "--timeout", "0.5")[0] == 1
    servers.CLICKHOUSE.start()
    status, text = run("journal", "replay")
    assert (status, "kept: 1 entries" in text) == (0, True)
    assert not owed(data_dir)
    assert run("journal", "inspect", "--owed")[1] == ""
    assert " done trades " in run("journal", "inspect")[1]


def test_damage_of_the_journal_is_told(store, data_dir):
    for _ in range(3):
        record(store)
    wait_for(lambda: not owed(data_dir))
    entries, _ = journals.inspect(data_dir / "journal")
    with entries[1].place.path.open("r+b") as stream:
        stream.seek(entries[1].place.offset + 40)
        stream.write(b"\xff")
    status, text = run("journal", "status")
    assert status == 1
    assert "1 entries within" in text
    assert "kept: 2 entries" in text


def test_a_call_that_takes_long_is_logged(caplog):
    def crawl(seconds):
        time.sleep(seconds)
        return "done"

    with caplog.at_level(logging.INFO, "storage_app.stores.slow"):
        assert watched(PositionStore, crawl)(0.005) == "done"
        watched(PositionStore, crawl)(0)
    assert [record.getMessage().split(" took ")[0] for record in caplog.records] == ["crawl"]
