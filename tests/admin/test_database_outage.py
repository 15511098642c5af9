"""The admin while its own database is down.

MariaDB is stopped, not killed: the one of the tests keeps its log in memory.
"""

from __future__ import annotations

import time

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connections
from django.test import RequestFactory
from django.urls import reverse

from storage_app.admin.database_outage import DatabaseOutageMiddleware
from tests import servers


@pytest.fixture
def database_down(transactional_db, boss, desk):
    boss.get(reverse("admin:index"))
    servers.MARIADB.stop()
    connections.close_all()
    yield
    servers.MARIADB.start()
    connections.close_all()


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_pages_say_that_the_database_is_down_and_how_the_other_stores_are(boss, database_down):
    for name in ("index", "login", "positions", "storage_app_account_changelist"):
        started = time.monotonic()
        page = boss.get(reverse(f"admin:{name}"))
        took = time.monotonic() - started
        text = page.content.decode()

        assert page.status_code == 503, name
        assert "The database does not answer" in text
        assert page["Retry-After"] == "5"
        assert took < 3, name
        # For strangers too, so no reasons and no addresses.
        assert "127.0.0.1" not in text
        assert "mysql" in text
        assert "since " in text


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_nothing_is_lost_with_all_servers_down(boss, database_down):
    servers.REDIS.stop()
    servers.CLICKHOUSE.stop()
    try:
        page = boss.get(reverse("admin:index"))
    finally:
        servers.CLICKHOUSE.start()
        servers.REDIS.start()

    assert page.status_code == 503
    assert page.content.decode().count("down") == 3


@pytest.mark.parametrize(
    "exc",
    [
        OperationalError(1205, "Lock wait timeout exceeded"),
        OperationalError("database is locked"),
        OperationalError(),
        IntegrityError(1062, "Duplicate entry"),
        ValueError("a bug"),
    ],
    ids=str,
)
def test_other_errors_are_not_taken_for_an_outage(exc):
    middleware = DatabaseOutageMiddleware(lambda request: None)
    assert middleware.process_exception(RequestFactory().get("/admin/"), exc) is None


def test_a_connection_that_broke_is_an_outage(redis, clickhouse, data_dir):
    middleware = DatabaseOutageMiddleware(lambda request: None)
    answer = middleware.process_exception(RequestFactory().get("/"), InterfaceError(0, ""))
    assert answer.status_code == 503
