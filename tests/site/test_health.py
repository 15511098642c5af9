from __future__ import annotations

import shutil
from datetime import datetime

import pytest

from silverquant_site.celery import app
from storage_app import health
from tests import servers
from tests.waiting import quickest, wait_for
from trades_app.market import clock

# Each check is given up after 0.9 s, all at the same time.
PROMPT = 2.0

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


@pytest.fixture
def stores(redis, clickhouse, data_dir):
    """Every store runs and was asked before; no worker and no beat does."""
    (data_dir / "static").mkdir()
    assert set(health._store().health_check().values()) == {"ok"}


def ask(client):
    answer, seconds = quickest(lambda: client.get("/health/"), PROMPT)
    return answer, answer.json()["checks"], seconds


def test_health_is_json_with_a_line_for_every_store_and_process(client, stores, settings):
    answer, checks, _ = ask(client)

    relational = "mysql" if "mysql" in settings.DATABASES["default"]["ENGINE"] else "sqlite"
    assert answer["Content-Type"] == "application/json"
    assert "no-cache" in answer["Cache-Control"]
    assert set(checks) == {"redis", "clickhouse", relational, "data_dir", "worker", "beat"}
    for name in ("redis", "clickhouse", relational, "data_dir"):
        assert checks[name] == {"status": "ok"}


def test_health_is_503_while_a_process_is_missing(client, stores):
    answer, checks, seconds = ask(client)

    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    assert checks["worker"] == checks["beat"] == {"status": "down", "reason": "no answer in time"}
    assert seconds < PROMPT


@pytest.mark.parametrize(
    ("server", "name"), [(servers.REDIS, "redis"), (servers.CLICKHOUSE, "clickhouse")]
)
def test_a_frozen_store_is_down_in_time(client, stores, server, name):
    server.freeze()
    try:
        answer, checks, seconds = ask(client)
    finally:
        server.thaw()

    assert answer.status_code == 503
    assert checks[name]["status"] == "down"
    assert checks["data_dir"]["status"] == "ok"
    assert seconds < PROMPT


def test_without_a_broker_the_processes_are_down_and_the_rest_is_told(client, stores):
    servers.REDIS.kill()

    answer, checks, seconds = ask(client)

    servers.REDIS.start()
    assert answer.status_code == 503
    assert {name: check["status"] for name, check in checks.items() if name != "mysql"} == {
        "redis": "down",
        "clickhouse": "ok",
        "data_dir": "ok",
        "worker": "down",
        "beat": "down",
    } | ({"sqlite": "ok"} if "sqlite" in checks else {})
    assert seconds < PROMPT


def test_a_missing_data_directory_is_down(client, stores, settings):
    ask(client)
    shutil.rmtree(settings.DATA_DIR)

    _, checks, _ = ask(client)

    settings.DATA_DIR.mkdir()
    assert checks["data_dir"] == {"status": "down", "reason": "not writable"}


def test_what_is_owed_and_since_when_is_told_but_no_reason(client, stores, data_dir):
    store = health._store()
    before = clock.now().replace(microsecond=0)
    servers.CLICKHOUSE.kill()
    try:
        for number in range(2):
            store.record_trade(
                "55009728", clock.now(), "600000.SH", "", "buy_order", f"{number}", 10.5, 100
            )
        ask(client)
        answer, checks, _ = ask(client)
    finally:
        servers.CLICKHOUSE.start()

    told = checks["clickhouse"]
    assert set(told) == {"status", "since", "owed"}
    assert told["status"] == "down"
    assert before <= datetime.fromisoformat(told["since"]) <= clock.now()
    assert told["owed"]["trades"]["count"] == 2
    assert set(told["owed"]["trades"]) == {"count", "age"}
    assert "55009728" not in answer.text
    assert f"{servers.CLICKHOUSE.port}" not in answer.text


def test_polling_leaves_nothing_in_the_broker(client, stores):
    for _ in range(3):
        client.get("/health/")

    # A probe that was given up still cleans up behind itself.
    wait_for(lambda: not reply_queues())


def reply_queues():
    with app.connection_for_read() as connection:
        return list(connection.default_channel.client.scan_iter("*reply*"))
