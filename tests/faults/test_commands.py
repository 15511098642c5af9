from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from storage_app.stores import compose
from storage_app.stores import journal as journals
from storage_app.stores.breaker import states
from storage_app.stores.journal import Journal
from tests import servers
from tests.faults.test_trades import ACCOUNT, owed, record, recover, wait_for
from tests.faults.test_trades import outage as outage
from tests.faults.test_trades import store as store
from tests.test_architecture import ROOT
from trades_app.market import clock

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


@contextlib.contextmanager
def sending_held_up(data_dir):
    """Owed writes stay owed, however well the servers are."""
    with Journal(data_dir / "journal").draining(20.0) as is_mine:
        assert is_mine
        yield


def test_health_is_degraded_while_writes_are_owed_for_long(store, redis, data_dir, monkeypatch):
    monkeypatch.setattr(compose, "OWED_PATIENCE", 0.0)
    assert set(store.health_check().values()) == {"ok"}
    servers.CLICKHOUSE.kill()
    record(store)
    assert store.health_check()["clickhouse"] == "down"
    assert store.owed()["trades"]["count"] == 1
    with sending_held_up(data_dir):
        servers.CLICKHOUSE.start()
        wait_for(lambda: store.health_check()["clickhouse"] == "degraded")
    recover()
    wait_for(lambda: not store.owed())
    assert set(store.health_check().values()) == {"ok"}


def components():
    status, text = run("storage_health", "--json")
    return status, json.loads(text)["components"]


def test_storage_health_tells_programs_by_its_status(store, redis, data_dir, monkeypatch):
    status, found = components()
    assert (status, found["clickhouse"]) == (0, {"status": "ok"})
    before = clock.now().replace(microsecond=0)
    servers.CLICKHOUSE.kill()
    record(store)
    record(store)
    status, found = components()
    assert (status, found["clickhouse"]["status"], found["redis"]) == (2, "down", {"status": "ok"})
    assert before <= datetime.fromisoformat(found["clickhouse"]["since"]) <= clock.now()
    assert found["clickhouse"]["owed"]["trades"]["count"] == 2
    assert 0 <= found["clickhouse"]["owed"]["trades"]["age"] < 60
    monkeypatch.setattr(compose, "OWED_PATIENCE", 0.0)
    with sending_held_up(data_dir):
        servers.CLICKHOUSE.start()
        wait_for(lambda: components()[0] == 1)
        found = components()[1]
    assert found["clickhouse"]["status"] == "degraded"
    assert "since" not in found["clickhouse"]
    recover()
    wait_for(lambda: components() == (0, {name: {"status": "ok"} for name in found}))


def test_storage_health_tells_people_since_when_and_what_is_owed(store, redis):
    servers.CLICKHOUSE.kill()
    record(store)
    lines = run("storage_health")[1].splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith("clickhouse: ")]
    assert re.match(r"clickhouse: down since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: \S", lines[number])
    assert re.fullmatch(r"    owed: 1 trades, oldest \d s", lines[number + 1])
    assert "redis: ok" in lines


def storage_health():
    """Ask in a process of its own, as a person does."""
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    environment = os.environ | {"CLICKHOUSE_DATABASE": names["clickhouse"]}
    if "mysql" in connections["default"].settings_dict["ENGINE"]:
        environment["MYSQL_DATABASE"] = names["default"]
    done = subprocess.run(
        [sys.executable, "manage.py", "storage_health", "--json"],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, json.loads(done.stdout)["components"]


def test_a_fresh_process_knows_since_when_a_server_is_down(store, redis, redis_server):
    store.get_positions(ACCOUNT)
    redis_server.kill()
    store.get_positions(ACCOUNT)
    servers.CLICKHOUSE.kill()
    uid = record(store)
    noted = states()["redis"].since
    time.sleep(1.1)
    status, found = storage_health()
    redis_server.start()
    assert uid
    assert status == 2
    assert (found["redis"]["status"], found["clickhouse"]["status"]) == ("down", "down")
    since = datetime.fromisoformat(found["redis"]["since"])
    assert abs(since - noted) < timedelta(seconds=1)
    assert found["clickhouse"]["owed"]["trades"]["count"] == 1
    recover()
    wait_for(lambda: not store.owed())
    wait_for(lambda: not states()["redis"].is_open)
    status, found = storage_health()
    assert (status, {one["status"] for one in found.values()}) == (0, {"ok"})


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
