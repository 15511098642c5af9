"""An outage and a trade conflict, as a person meets them."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from storage_app.admin.sources import platform_store
from storage_app.contract.types import PositionFlag, PositionState
from tests import servers
from tests.browser.conftest import PHONE
from tests.factories import make_conflict, make_trade

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

SCREENS = pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [(None, False, "zh-hans"), (None, True, "en"), (PHONE, True, "zh-hans"), (PHONE, False, "en")],
    ids=["desktop-light", "desktop-dark-english", "phone-dark", "phone-light-english"],
)


def speak(me, language):
    me.page.click(f".sq-languages button[value={language}]")
    me.settle()


def fits(me):
    wide = me.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


@pytest.fixture
def conflict(demo):
    trade = make_trade(remark="5日换仓卖单", order_type="sell_trade", order_id="1082")
    platform_store().write_trades([trade])
    refused = replace(trade, price=Decimal("10.51"), volume=900, remark="盘后补录")
    reason = f"trade {trade.trade_uid} is already recorded with price 10.000, not 10.510"
    return make_conflict(refused, reason)


@SCREENS
def test_a_conflict_is_found_compared_and_decided(visit, conflict, viewport, dark, language):
    me = visit(viewport=viewport, dark=dark)
    name = f"{'dark' if dark else 'light'}_{'phone' if viewport else 'desktop'}_{language}"
    me.sign_in()
    speak(me, language)
    me.page.click("#troubles a")
    me.settle()
    me.keep(f"conflicts_{name}")
    fits(me)

    me.open(f"/admin/storage_app/tradeconflict/{conflict.pk}/change/")
    assert "10.51" in me.text("#sides")
    me.keep(f"conflict_{name}")
    fits(me)

    me.open(f"/admin/storage_app/tradeconflict/{conflict.pk}/take/")
    me.keep(f"conflict_decision_{name}")
    fits(me)
    me.page.fill("#id_reason", "券商对账单第 17 行")
    me.page.click("form.sq-panel button")
    me.settle()
    assert "券商对账单第 17 行" in me.text()
    me.keep(f"conflict_decided_{name}")
    fits(me)


@SCREENS
def test_an_outage_is_told_with_what_it_holds_up(visit, viewport, dark, language):
    doubted = PositionState("600000.SH", 3, 10.8, 9.9, 1000, flag=PositionFlag.UNCONFIRMED)
    oversold = PositionState("000002.SZ", 5, 41.0, 30.5, 0, flag=PositionFlag.OVERSOLD)
    platform_store().replace_positions(
        "55009728/live", {doubted.code: doubted, oversold.code: oversold}
    )
    me = visit(viewport=viewport, dark=dark)
    name = f"{'dark' if dark else 'light'}_{'phone' if viewport else 'desktop'}_{language}"
    me.sign_in()
    speak(me, language)
    servers.REDIS.stop()
    servers.CLICKHOUSE.stop()
    try:
        at = f"{time.time():.0f}"
        platform_store().record_trade(
            "55009728", at, "600000.SH", "浦发银行", "buy_trade", "", 10, 100, trade_id="A"
        )
        time.sleep(1.2)
        me.open("/admin/")
        me.keep(f"outage_{name}")
        fits(me)
        troubles = me.text("#troubles")
        me.open("/admin/positions/")
        me.keep(f"outage_positions_{name}")
        fits(me)
        positions = me.text()
    finally:
        servers.CLICKHOUSE.start()
        servers.REDIS.start()

    for store in ("redis", "clickhouse"):
        assert f"{store} is down since" in troubles or f"{store} 自 " in troubles
    assert ("成交" in troubles) or ("trades: 1" in troubles)
    assert ("待核实" in positions) or ("unconfirmed" in positions)
