"""Trades, statistics, bars, accounts and events as a person uses them, in both languages."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from storage_app.admin.sources import platform_store
from storage_app.contract.types import PositionState
from storage_app.models import Account
from storage_app.stores.clickhouse import ClickHouseTrades
from tests.browser.conftest import PHONE
from tests.browser.test_pages import COLOURS
from tests.factories import make_account, make_snapshot, make_trade
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

ACCOUNT = "55009728"
TRADES = "/admin/trades_app/trade/"
CHART = "/admin/trades_app/dailykline/chart/600809.SH/"


def moment(month, day):
    return datetime(2017, month, day, 10, 0, tzinfo=clock.SHANGHAI)


@pytest.fixture
def fills(demo):
    """Fills of two months beside the orders of the demo, one of them assumed."""
    made = [
        make_trade(account_id=ACCOUNT, price="30", volume=1000, timestamp=moment(5, 3)),
        make_trade(
            account_id=ACCOUNT, price="33", volume=400, order_type="sell_trade",
            timestamp=moment(5, 10),
        ),
        make_trade(
            account_id=ACCOUNT, price="28", volume=600, order_type="sell_trade",
            timestamp=moment(6, 12),
        ),
    ]  # fmt: skip
    ClickHouseTrades().write_trades([*made[:-1], replace(made[-1], source="assumed")])
    return made


@pytest.fixture
def reader(visit):
    """A visit that is signed in and reads English; `reader(viewport=PHONE)`."""

    def start(**options):
        me = visit(**options)
        me.sign_in()
        me.page.click(".sq-languages button[value=en]")
        me.settle()
        return me

    return start


def test_trades_are_narrowed_by_period_and_name_and_added_up(reader, fills):
    me = reader()
    me.open(TRADES)
    me.page.click(".sq-periods a >> text=All")
    me.settle()
    every = me.text("#totals")

    me.page.fill("#id_code", "山西")
    me.page.wait_for_selector("#id_code_found option[value='600809.SH']", state="attached")
    me.page.click("#list-filter button")
    me.settle()

    codes = {one.inner_text() for one in me.page.query_selector_all("#result_list .field-code")}
    assert codes == {"600809.SH"}
    assert me.page.get_attribute(".sq-periods a >> text=All", "aria-current") == "page"
    assert me.text("#totals") != every
    me.keep("trades_by_name")


def test_the_whole_filtered_list_is_downloaded(reader, fills, tmp_path):
    me = reader()
    me.open(f"{TRADES}?period=all&kind=sell_trade")

    with me.page.expect_download() as download:
        me.page.click("#totals a >> text=CSV")
    path = tmp_path / "trades.csv"
    download.value.save_as(path)

    header, *rows = csv.reader(path.open(encoding="utf-8-sig", newline=""))
    assert download.value.suggested_filename.endswith(".csv")
    assert [Decimal(row[header.index("Price")]) for row in rows] == [28, 33]


def test_statistics_draw_profit_and_say_that_it_is_an_estimate(reader, fills):
    me = reader()
    me.open("/admin/statistics/?by=month")

    assert len(me.page.evaluate(COLOURS, "periods")) > 3
    assert "Profit is an estimate" in me.text()
    assert "2017-06" in me.text("#periods .sq-legend")
    box = me.page.query_selector("#periods .sq-canvas").bounding_box()
    me.page.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + 40)
    me.page.wait_for_function(
        "() => document.querySelector('#periods .sq-legend').textContent.includes('2017-05')"
    )
    assert [row.inner_text().split("\t")[0] for row in rows_of(me, "by-period")] == [
        "2017-06 estimate",
        "2017-05",
    ]
    me.keep("statistics")

    me.page.select_option("#id_by", "day")
    me.page.click("#list-filter button")
    me.settle()
    assert len(rows_of(me, "by-period")) == 3


def rows_of(me, table):
    return me.page.query_selector_all(f"#{table} tbody tr")


def test_a_sell_shows_its_lots(reader, fills):
    me = reader()
    me.open(f"{TRADES}{fills[1].trade_uid}/change/")

    assert "+1,200.00" in me.text("#lots")
    me.keep("trade_with_lots")


def test_gaps_and_quality_stand_beside_the_candlesticks(reader):
    me = reader()
    me.open(CHART)

    assert "2017-02-24" in me.text("#quality")
    me.page.select_option("select[data-navigate]", label="Forward adjusted")
    me.page.wait_for_url("**adjust=qfq")
    me.settle()
    me.open(CHART)
    me.page.fill("#other-code", "比亚迪")
    me.page.press("#other-code", "Enter")
    me.page.wait_for_url("**/chart/002594.SZ/")
    me.settle()
    assert "002594.SZ" in me.text(".sq-panel h2")


def test_the_equity_of_all_accounts_and_of_each(reader, demo):
    second = make_account("66001234", account_name="Second")
    for day in (24, 25, 26):
        make_snapshot(second, moment(7, day).date(), 500_000 + day)
    me = reader()
    legend = me.text("#equity .sq-legend")
    assert "743,766.05" in legend

    me.page.select_option("select[data-chart-for=equity]", label="Second (66001234)")
    me.page.wait_for_function(
        "() => document.querySelector('#equity .sq-legend')?.textContent.includes('500,026.00')"
    )
    assert len(rows_of(me, "accounts")) == 2


def test_an_account_is_suspended_with_a_reason_and_resumed(reader):
    account = Account.objects.get()
    me = reader()
    me.open(f"/admin/storage_app/account/{account.pk}/change/")
    for button, status in (("Suspend", "Suspended"), ("Resume", "Active")):
        me.page.click(f"a >> text={button}")
        me.settle()
        me.page.fill("#id_reason", "Reconciling with the broker")
        me.page.click("form.sq-panel button")
        me.settle()
        assert status in me.text(".sq-cards")


def test_events_are_read_from_the_logs(reader, data_dir):
    (data_dir / "log").mkdir(exist_ok=True)
    (data_dir / "log" / "trader.log").write_text(
        "2017-07-26 10:00:00,001 7 INFO storage_app.stores.slow: get_kline 600809.SH took 31.0 ms\n"
        "2017-07-26 10:00:01,001 7 ERROR storage_app.stores.mirror: two rows differ\n",
        encoding="utf-8",
    )
    me = reader()
    me.open("/admin/events/")

    assert "get_kline" in me.text("#operations")
    assert "two rows differ" in me.text("#events")
    me.keep("events")


@pytest.mark.parametrize(
    ("viewport", "dark"), [(None, True), (PHONE, False)], ids=["desktop-dark", "phone-light"]
)
def test_data_pages_fit_the_screen_and_keep_to_the_policy(visit, fills, viewport, dark):
    state = PositionState("600809.SH", 3, 36.0, 30.0, 600)
    platform_store().replace_positions(f"{ACCOUNT}/extra", {"600809.SH": state})
    me = visit(viewport=viewport, dark=dark)

    me.sign_in()
    theme, device = ("dark" if dark else "light"), ("phone" if viewport else "desktop")
    for name, path in (
        ("dashboard_data", "/admin/"),
        ("positions", "/admin/positions/"),
        ("trades_all", f"{TRADES}?period=all"),
        ("trade_lots", f"{TRADES}{fills[1].trade_uid}/change/"),
        ("statistics", "/admin/statistics/"),
        ("kline_gaps", CHART),
        ("bars", "/admin/trades_app/dailykline/"),
        ("events", "/admin/events/"),
        ("conflicts", "/admin/storage_app/tradeconflict/"),
    ):
        me.open(path)
        me.keep(f"{name}_{theme}_{device}")
        wide = me.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, (name, wide)
