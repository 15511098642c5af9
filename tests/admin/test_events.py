from __future__ import annotations

import logging

import pytest
from django.urls import reverse

from storage_app.admin import events
from storage_app.log_files import ProcessLog

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


@pytest.fixture
def log(data_dir):
    """A way to write records into a log file, as a program of the platform does."""
    handler = ProcessLog(data_dir / "log", "trader")

    def write(name, level, text, *args, exc_info=None):
        record = logging.LogRecord(name, level, __file__, 1, text, args, exc_info)
        handler.handle(record)

    yield write
    handler.close()


def shown(client, query=""):
    return client.get(reverse("admin:events") + query).context


def test_events_are_slow_calls_warnings_and_errors_newest_first(boss, store, log):
    log("storage_app.stores.slow", logging.INFO, "get_held_days 55009728 took %.1f ms", 2.5)
    log("storage_app.stores.mirror", logging.INFO, "all is well")
    log("storage_app.stores.mirror", logging.WARNING, "redis lags")
    log("trades_app.ingest", logging.ERROR, "two rows of one identity differ")

    found = shown(boss)["events"]

    assert [(one.kind, one.program) for one in found] == [
        ("error", "trader"),
        ("warning", "trader"),
        ("slow", "trader"),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?kind=slow", ["get_kline 600000.SH took 30.0 ms"]),
        ("?kind=error", ["broken"]),
        ("?text=MIRROR", ["lags"]),
        ("?program=trader&text=600000", ["get_kline 600000.SH took 30.0 ms"]),
        ("?text=nowhere", []),
        ("?program=stranger", []),
    ],
)
def test_events_are_filtered(boss, store, log, query, found):
    log("storage_app.stores.slow", logging.INFO, "get_kline 600000.SH took 30.0 ms")
    log("storage_app.stores.mirror", logging.WARNING, "lags")
    log("storage_app.tasks", logging.ERROR, "broken")

    assert [one.text for one in shown(boss, query)["events"]] == found


def test_slow_operations_are_summed_up(boss, store, log):
    for ms in (2.0, 8.0, 3.0):
        log("storage_app.stores.slow", logging.INFO, f"raise_extremes 55009728 took {ms} ms")
    log("storage_app.stores.slow", logging.INFO, "query_trades took 120.0 ms")

    assert shown(boss)["operations"] == [
        events.Operation("query_trades", 1, 120.0, 120.0),
        events.Operation("raise_extremes", 3, 3.0, 8.0),
    ]


def test_a_traceback_stays_with_its_event_and_is_escaped(boss, store, log):
    error = ValueError("<b>first\nsecond")
    log("storage_app.tasks", logging.ERROR, "failed", exc_info=(ValueError, error, None))
    log("storage_app.tasks", logging.ERROR, "failed again")

    page = boss.get(reverse("admin:events"))

    again, first = page.context["events"]
    assert (first.details, again.details) == (["ValueError: <b>first", "second"], [])
    assert "&lt;b&gt;first" in page.content.decode()


def test_the_end_of_a_long_log_is_read_in_whole_lines(data_dir, log):
    text = "x" * 200
    for number in range(3 * events.TAIL_BYTES // 200):
        log("storage_app.tasks", logging.WARNING, f"{number} {text}")

    found = events.read_events(data_dir / "log")

    assert events.TAIL_BYTES / 400 < len(found) <= events.TAIL_BYTES / 200
    assert {one.text.partition(" ")[2] for one in found} == {text}


def test_without_a_log_nothing_is_wrong(boss, store):
    page = boss.get(reverse("admin:events"))

    assert "Nothing slow, no warning, no error" in page.content.decode()
