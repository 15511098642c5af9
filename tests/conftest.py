from __future__ import annotations

import shutil
import sys
from datetime import datetime

import hypothesis
import pytest
from django.utils import translation

from storage_app.stores import background, breaker, outbox
from tests import servers
from tests.processes import children as children
from trades_app.market import clock
from trades_app.schema import TABLES

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

END_SECONDS = 60.0
# A worker that begins with a long one has the short ones to even out its end.
LONG_MODULES = (
    "tests/faults/test_trades.py",
    "tests/site/test_make_run.py",
    "tests/faults/test_positions.py",
    "tests/browser/test_pages.py",
    "tests/faults/test_workload.py",
    "tests/admin/test_permissions.py",
    "tests/silverquant/test_month.py",
    "tests/browser/test_conflicts.py",
    "tests/faults/test_network.py",
    "tests/backup/test_killed.py",
)
PROCESS_WIDE_STORES = (
    ("storage_app.admin.sources", "platform_store"),
    ("storage_app.health", "_store"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with the longest modules; the others keep their random order."""
    order = {name: number for number, name in enumerate(LONG_MODULES)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """Start the database servers before pytest-django makes the test databases on them."""
    from django.conf import settings

    if "mysql" in settings.DATABASES["default"]["ENGINE"]:
        servers.MARIADB.start()
    servers.CLICKHOUSE.start()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup):
    """The test databases; whatever still works on them ends before they do."""
    yield
    end_background()


@pytest.fixture(scope="session")
def redis_server():
    servers.REDIS.start()
    return servers.REDIS


@pytest.fixture
def redis(redis_server):
    """An empty Redis; yields the raw connection of the position store."""
    from django_redis import get_redis_connection

    redis_server.start()
    connection = get_redis_connection("positions")
    connection.flushdb()
    return connection


@pytest.fixture
def clickhouse(transactional_db_clickhouse):
    """Empty ClickHouse tables, since ClickHouse cannot roll a test back."""
    return transactional_db_clickhouse


@pytest.fixture
def transactional_db_clickhouse(django_db_setup, django_db_blocker):
    from django.db import connections

    with django_db_blocker.unblock():
        servers.CLICKHOUSE.start()
        connection = connections["clickhouse"]
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"TRUNCATE TABLE {table.name}")
        yield connection
        # While it may still use the databases.
        end_background()


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    """No test leaves a thread, a breaker or a process-wide store to the next one."""
    yield
    end_background()


def end_background():
    """End what stores do in the background, however their owners left them."""
    for name, keeper in PROCESS_WIDE_STORES:
        if name in sys.modules:
            getattr(sys.modules[name], keeper).cache_clear()
    outbox.close_all(END_SECONDS)
    breaker.forget_all()
    assert background.wait_for_threads(END_SECONDS) == []


@pytest.fixture
def data_dir(settings):
    """An empty DATA_DIR that nobody writes to, but for the SQLite database of the run."""
    end_background()
    for path in settings.DATA_DIR.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("test.sqlite3"):
            path.unlink()
    return settings.DATA_DIR


@pytest.fixture
def trading_morning():
    """Hold the clock at 2026-03-02 09:31, a Monday on which the exchange trades."""
    moment = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
    with clock.pinned(moment):
        yield moment


@pytest.fixture
def english():
    """Read texts in the language of the source, whatever the catalogue says."""
    with translation.override("en"):
        yield
