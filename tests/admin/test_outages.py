"""A page loads although a store is down, and says which one."""

from __future__ import annotations

import time

import pytest
from django.urls import reverse

from tests import servers

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


@pytest.fixture
def redis_down(desk):
    servers.REDIS.stop()
    yield
    servers.REDIS.start()


@pytest.fixture
def clickhouse_down(desk):
    servers.CLICKHOUSE.stop()
    yield
    servers.CLICKHOUSE.start()


def health_of(page):
    return {one["component"]: one["state"] for one in page.context["health"]}


def test_the_dashboard_says_that_redis_is_down(boss, redis_down):
    started = time.monotonic()
    page = boss.get(reverse("admin:index"))
    took = time.monotonic() - started

    assert page.status_code == 200
    assert health_of(page)["redis"] == "down"
    assert health_of(page)["clickhouse"] == "ok"
    # The positions come from the files of this host.
    assert "redis does not answer" not in page.content.decode()
    assert took < 3


def test_the_dashboard_says_that_clickhouse_is_down(boss, clickhouse_down):
    started = time.monotonic()
    page = boss.get(reverse("admin:index"))
    took = time.monotonic() - started

    assert page.status_code == 200
    assert health_of(page)["clickhouse"] == "down"
    assert "600000.SH" in page.content.decode()
    assert "1,012,345.67" in page.content.decode()
    assert took < 5


def test_pages_of_trades_and_bars_explain_the_outage(boss, desk, clickhouse_down):
    for name, args in (
        ("trades_app_trade_changelist", []),
        ("trades_app_trade_change", [desk.my_trade]),
        ("trades_app_dailykline_changelist", []),
        ("trades_app_dailykline_chart", ["600000.SH"]),
    ):
        page = boss.get(reverse(f"admin:{name}", args=args))
        assert page.status_code == 503, name
        assert "clickhouse does not answer" in page.content.decode(), name


def test_an_account_page_loads_without_clickhouse_and_without_redis(boss, desk, clickhouse_down):
    servers.REDIS.stop()
    try:
        page = boss.get(reverse("admin:storage_app_account_change", args=[desk.mine.pk]))
    finally:
        servers.REDIS.start()

    assert page.status_code == 200
    assert "1,012,345.67" in page.content.decode()


def test_chart_data_says_that_clickhouse_is_down(boss, clickhouse_down):
    answer = boss.get(reverse("admin:chart_kline", args=["600000.SH"]))

    assert answer.json() == {"message": "clickhouse does not answer."}


def test_pages_work_again_after_the_outage(boss, desk):
    servers.CLICKHOUSE.stop()
    boss.get(reverse("admin:trades_app_trade_changelist"))
    servers.CLICKHOUSE.start()

    page = boss.get(reverse("admin:trades_app_trade_changelist"))

    assert page.status_code == 200
    assert len(page.context["cl"].result_list) == 2


def test_a_clickhouse_without_tables_counts_as_down(boss, desk, clickhouse):
    with clickhouse.cursor() as cursor:
        cursor.execute("RENAME TABLE trade TO trade_away")
    try:
        trades = boss.get(reverse("admin:trades_app_trade_changelist"))
        dashboard = boss.get(reverse("admin:index"))
    finally:
        with clickhouse.cursor() as cursor:
            cursor.execute("RENAME TABLE trade_away TO trade")

    assert trades.status_code == 503
    assert dashboard.status_code == 200
    assert dashboard.context["trades"].missing == "clickhouse"
