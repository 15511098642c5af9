from __future__ import annotations

from contextlib import contextmanager

import pytest

from storage_app import create_data_store
from storage_app.stores.compose import HEALTH_DEADLINE
from tests import servers
from tests.waiting import quickest

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("redis", "clickhouse", "data_dir"),
]
# Two loaded cores need a moment for their threads; a second timeout would take longer.
SLACK = 0.4


@pytest.fixture
def store():
    store = create_data_store("hybrid")
    yield store
    store.close()


@contextmanager
def frozen(server):
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


def test_every_component_answers_for_itself(store):
    health = store.health_check()
    assert set(health) in ({"redis", "mysql", "clickhouse"}, {"redis", "sqlite", "clickhouse"})
    assert set(health.values()) == {"ok"}


@pytest.mark.parametrize("server", [servers.REDIS, servers.CLICKHOUSE], ids=lambda s: s.name)
def test_a_frozen_server_is_down_at_the_deadline_and_the_others_are_not(store, server):
    store.health_check()
    with frozen(server):
        health, elapsed = quickest(store.health_check, HEALTH_DEADLINE + SLACK)
    assert health.pop(server.name) == "down"
    assert set(health.values()) == {"ok"}
    assert elapsed < HEALTH_DEADLINE + SLACK


def test_a_dead_server_is_down_and_well_again_after_its_restart(store, redis_server):
    redis_server.kill()
    assert store.health_check()["redis"] == "down"
    assert store.get_positions("55009728") == {}  # from the files
    redis_server.start()
    assert store.health_check()["redis"] == "ok"


def test_closing_twice_does_no_harm_and_a_closed_store_connects_again(store):
    store.close()
    store.close()
    assert store.get_positions("55009728") == {}
    assert store.query_trades("55009728") == []
    assert store.list_accounts() == []
