from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from storage_app.admin import positions
from storage_app.admin.positions import Cost
from storage_app.contract.types import PositionState
from storage_app.models import JobRun, Report
from tests.admin.conftest import signed_in
from tests.factories import (
    make_account,
    make_bars,
    make_snapshot,
    make_superuser,
    make_trade,
    make_user,
)
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


def dashboard(client):
    return client.get(reverse("admin:index"))


def curve(client):
    return client.get(reverse("admin:chart_equity_of_all")).json()


def make_report(kind, hours, **fields):
    at = timezone.now() - timedelta(hours=hours)
    values = {"started_at": at, "finished_at": at, "is_clean": True, "actor": "beat"}
    return Report.objects.create(kind=kind, **values | fields)


def test_the_curve_of_all_accounts_carries_the_last_figure_of_each(boss, store):
    first, second = make_account("10000001"), make_account("20000002")
    for account, day, total in (
        (first, 2, 100),
        (first, 3, 110),
        (second, 3, 50),
        (first, 5, 120),
        (second, 4, 60),
    ):
        make_snapshot(account, date(2026, 3, day), Decimal(total))

    data = curve(boss)

    assert [(point["time"], point["value"]) for point in data["points"]] == [
        ("2026-03-02", 100),
        ("2026-03-03", 160),
        ("2026-03-04", 170),
        ("2026-03-05", 180),
    ]
    # The second account joins on its first day, with the capital that it began with.
    assert [point["start"] for point in data["points"]] == [1_000_000, *[2_000_000] * 3]


def test_the_curve_of_all_accounts_is_of_those_that_a_user_sees(desk, limited, boss):
    assert [point["value"] for point in curve(limited)["points"]] == [1_000_000, 1_012_345.67]
    assert curve(boss)["points"][-1]["value"] == 3_234_567.89


def test_without_any_snapshot_the_curve_says_so(boss, store):
    assert curve(boss) == {"message": "No daily snapshot yet."}


def test_a_position_shows_what_it_cost_and_earned(boss, store):
    make_account("10000001")
    store.write_klines(make_bars("600000.SH", days=5))
    store.write_trades(
        [
            make_trade(account_id="10000001", price=price, volume=100, timestamp=moment(day))
            for price, day in (("9", 2), ("10", 3), ("11", 4))
        ]
    )
    state = PositionState("600000.SH", 3, 10.8, 9.9, 200)
    store.replace_positions("10000001", {"600000.SH": state})

    (row,) = dashboard(boss).context["positions"].rows

    assert row.cost == Cost(Decimal("10.5"))
    assert row.price == 10.4
    assert row.profit == pytest.approx(-20)
    assert row.gain == pytest.approx(10.4 / 10.5 - 1)


def moment(day):
    return datetime(2026, 3, day, 9, 31, tzinfo=clock.SHANGHAI)


def test_of_an_unknown_volume_the_ledger_tells_the_cost(boss, store):
    make_account("10000001")
    buys = [
        make_trade(account_id="10000001", price=price, volume=100, timestamp=moment(day))
        for price, day in (("9", 2), ("10", 3))
    ]
    sell = make_trade(
        account_id="10000001", price="12", volume=150, order_type="sell_trade", timestamp=moment(4)
    )
    store.write_trades([*buys, replace(sell, source="assumed")])
    store.replace_positions("10000001", {"600000.SH": PositionState("600000.SH", 3)})

    (row,) = dashboard(boss).context["positions"].rows

    assert (row.cost, row.profit) == (Cost(Decimal(10), is_estimate=True), None)


def test_the_cost_is_for_who_may_see_trades(desk):
    developer = signed_in(make_user("developer"))

    assert {row.cost for row in dashboard(developer).context["positions"].rows} == {None}


def test_many_positions_are_shown_in_part_and_paged(boss, store, monkeypatch):
    monkeypatch.setattr(positions, "PAGE_ROWS", 20)
    make_account("10000001")
    codes = [f"600{number:03d}.SH" for number in range(45)]
    store.replace_positions("10000001", {code: PositionState(code, 1) for code in codes})

    shown = dashboard(boss)
    pages = [
        boss.get(reverse("admin:positions") + query).context["positions"].rows
        for query in ("", "?page=2", "?page=3", "?page=junk")
    ]

    assert len(shown.context["positions"].rows) == 25
    assert "All positions (45)" in shown.content.decode()
    assert [len(page) for page in pages] == [20, 20, 5, 20]
    assert {row.state.code for page in pages for row in page} == set(codes)


def test_the_orders_and_fills_of_the_last_day_are_added_up(boss, store):
    store.write_trades(
        [
            make_trade(timestamp=moment(2)),
            make_trade(timestamp=moment(3), price="10", volume=100),
            make_trade(timestamp=moment(3), price="11", volume=100),
        ]
    )

    page = dashboard(boss)
    trades = page.context["trades"]

    assert [row.trade_date.day for row in trades.rows] == [3, 3]
    assert [(one.rows, one.amount) for one in trades.totals.kinds] == [(2, Decimal(2100))]
    assert "Last trading date with data: 2026-03-03" in page.content.decode()
    with clock.pinned(moment(3)):
        assert "Orders and fills of today" in dashboard(boss).content.decode()


def test_the_last_report_of_each_kind_is_shown(boss, store):
    make_report("verify", 30)
    newest = make_report("verify", 6, is_clean=False)
    backup = make_report("backup", 5)
    unfinished = make_report("klines", 1, finished_at=None)

    page = dashboard(boss)

    assert [one.pk for one in page.context["reports"]] == [unfinished.pk, backup.pk, newest.pk]
    for word in ("Unfinished", "Clean", "Findings"):
        assert f">{word}</span>" in page.content.decode()


def make_run(job, status="running", **fields):
    values = {"day": clock.today(), "started_at": timezone.now(), "slot": fields.pop("slot", job)}
    return JobRun.objects.create(job=job, status=status, **values | fields)


def test_running_jobs_tell_how_far_they_are(boss, store):
    make_run("verify", done=3, total=12)
    make_run("backup", done=7)
    make_run("check_klines", status="done")

    page = dashboard(boss)

    assert {one.run.job: one.share for one in page.context["jobs"]} == {
        "verify": 25.0,
        "backup": None,
    }
    assert "3 / 12" in page.content.decode()


def test_running_jobs_are_those_of_the_accounts_that_a_user_sees(desk, limited):
    make_run("run_import", account_id="10000001", slot="1")
    make_run("run_import", account_id="20000002", slot="2")

    shown = dashboard(limited).context["jobs"]

    assert [one.run.account_id for one in shown] == ["10000001"]


def test_the_dashboard_asks_few_queries_however_much_there_is(store):
    client = signed_in(make_superuser())

    def queries():
        with (
            CaptureQueriesContext(connections["default"]) as relational,
            CaptureQueriesContext(connections["clickhouse"]) as clickhouse,
        ):
            assert dashboard(client).status_code == 200
        return len(relational), len(clickhouse)

    def grow(first, number):
        for step in range(first, first + number):
            account = make_account(f"1000{step:04d}")
            make_snapshot(account, date(2026, 3, 2))
            code = f"600{step:03d}.SH"
            store.write_trades([make_trade(account_id=account.account_id, code=code)])
            store.replace_positions(account.account_id, {code: PositionState(code, 1, volume=100)})

    grow(0, 1)
    queries()
    few = queries()
    grow(1, 6)

    assert queries() == few
    assert few[0] <= 14
    assert few[1] <= 7, few
