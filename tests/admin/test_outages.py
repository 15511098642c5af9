"""A page loads although a store is down, and says which one."""

from __future__ import annotations

import time

import pytest
from django.urls import reverse

from tests import servers
from tests.waiting import quickest, wait_for
from trades_app.market import clock

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
    return {one.component: one.state for one in page.context["health"].stores}


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


def test_the_dashboard_tells_since_when_and_why_a_store_is_down(boss, redis_down):
    boss.get(reverse("admin:index"))
    page = boss.get(reverse("admin:index"))
    text = page.content.decode()

    (down,) = page.context["health"].outages
    assert down.component == "redis"
    assert down.outage.reason
    assert 0 <= (clock.now() - down.outage.began).total_seconds() < 30
    assert f"redis is down since {clock.in_shanghai(down.outage.began):%H:%M} (" in text
    assert "clickhouse is down" not in text


def test_the_dashboard_loads_in_time_with_all_servers_down(boss, redis_down, clickhouse_down):
    boss.get(reverse("admin:index"))
    page, took = quickest(lambda: boss.get(reverse("admin:index")), 1.5)

    assert page.status_code == 200
    assert [one.component for one in page.context["health"].outages] == ["redis", "clickhouse"]
    # One deadline for asking all of them, and no more timeouts behind it.
    assert took < 1.5


def test_the_dashboard_tells_what_is_owed_and_for_how_long(boss, store, clickhouse_down):
    at = f"{time.time():.0f}"
    store.record_trade("10000001", at, "600000.SH", "", "buy_trade", "", 10, 100, trade_id="A")
    store.record_trade("10000001", at, "600000.SH", "", "buy_trade", "", 10, 100, trade_id="B")
    time.sleep(1.1)

    page = boss.get(reverse("admin:index"))

    (owed,) = page.context["health"].owed
    assert owed.count == 2
    assert owed.oldest.endswith(" s")
    assert "trades: 2, the oldest for" in page.content.decode()


def test_an_outage_that_is_over_is_not_told(boss, desk):
    servers.REDIS.stop()
    boss.get(reverse("admin:index"))
    servers.REDIS.start()
    # The breaker of the process finds out with its next probe.
    wait_for(lambda: "is down since" not in boss.get(reverse("admin:index")).content.decode())

    assert boss.get(reverse("admin:index")).context["health"].outages == []
    assert boss.get(reverse("admin:positions")).context["positions"].outage is None


def test_positions_from_files_say_so_and_since_when(boss, redis_down):
    page = boss.get(reverse("admin:positions"))
    text = page.content.decode()

    outage = page.context["positions"].outage
    assert f"Redis is down since {outage.since}" in text
    assert "600000.SH" in text


def test_positions_from_redis_say_nothing(boss, desk):
    page = boss.get(reverse("admin:positions"))
    assert page.context["positions"].outage is None
    assert 'id="from-files"' not in page.content.decode()


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
