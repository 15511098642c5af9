"""The demo in a real browser: what a newcomer sees after the first start."""

from __future__ import annotations

import pytest

from storage_app.models import Account, Strategy
from storage_app.services import strategies
from storage_app.services.actors import person
from tests.browser.conftest import PHONE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

COLOURS = """(id) => {
  const seen = new Set();
  document.querySelectorAll(`#${id} canvas`).forEach((canvas) => {
    if (!canvas.width || !canvas.height) return;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 200) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
    }
  });
  return [...seen];
}"""
# The red and the green of the light theme.
RISE, FALL = "217,45,32", "7,148,85"


def test_the_dashboard_shows_the_demo_in_chinese(visit):
    me = visit()
    me.sign_in()

    health, body = me.text("#health"), me.text()

    assert "redis" in health
    assert "clickhouse" in health
    assert "不可用" not in health
    assert "243,740.05" in body
    assert "最近有数据的交易日：2017-07-26" in body
    assert "比亚迪" in me.text("#positions")
    assert len(me.page.query_selector_all("#positions tbody tr")) == 6
    assert {RISE, FALL} <= set(me.page.evaluate(COLOURS, "kline"))
    assert len(me.page.evaluate(COLOURS, "equity")) > 3
    me.keep("dashboard")


def test_another_code_is_chosen_for_the_candlesticks(visit):
    me = visit()
    me.sign_in()
    before = me.text("#kline .sq-legend")

    me.page.select_option("select[data-chart-for=kline]", label="600809.SH 山西汾酒")
    me.settle()

    assert me.text("#kline .sq-legend") != before


def test_trades_are_filtered_by_code_and_paged(visit):
    me = visit()
    me.sign_in()
    me.open("/admin/trades_app/trade/")
    assert "最近有数据的交易日：2017-07-20" in me.text("#list-note")

    me.page.fill("#id_code", "600809")
    me.page.click("#list-filter button")
    me.settle()
    rows = me.page.query_selector_all("#result_list tbody")
    codes = {row.query_selector(".field-code").inner_text() for row in rows}
    me.keep("trades")
    assert codes == {"600809.SH"}
    assert "买入委托" in me.text("#result_list")

    me.open("/admin/trades_app/trade/?since=2016-07-01&until=2017-07-26")
    first = me.text("#result_list")
    me.page.click("a[rel=next]")
    me.settle()
    assert me.text("#result_list") != first

    me.page.click("#result_list th a")
    me.settle()
    assert "委托编号" in me.text()
    me.keep("trade")


def test_live_positions_of_an_account_stand_on_its_page(visit):
    account = Account.objects.get()
    me = visit()
    me.sign_in()
    me.open(f"/admin/storage_app/account/{account.pk}/change/")

    assert "002594.SZ" in me.text("#positions")
    assert "55009728/test" in me.text("#positions")
    me.keep("account")

    me.open("/admin/positions/")
    assert "2017-07-26" in me.text()
    me.keep("positions")


def test_the_candlestick_page_draws_and_changes_its_span(visit):
    me = visit()
    me.sign_in()
    me.open("/admin/trades_app/dailykline/chart/600809.SH/")
    drawn = me.page.evaluate(COLOURS, "kline")
    me.keep("kline")

    me.page.click("button[data-chart-for=kline] >> text=1 年")
    me.settle()

    assert {RISE, FALL} <= set(drawn)
    assert (
        me.page.get_attribute("button[data-chart-for=kline] >> text=1 年", "aria-pressed") == "true"
    )
    assert "开盘" in me.text("#kline .sq-legend")
    assert "山西汾酒" in me.text()


def test_the_language_is_switched_in_the_header(visit):
    me = visit()
    me.sign_in()
    assert "总览" in me.text("h1")

    me.page.click(".sq-languages button[value=en]")
    me.settle()
    assert "Dashboard" in me.text("h1")
    assert "Last trading date with data: 2017-07-26" in me.text()
    assert "Open" in me.text("#kline .sq-legend")
    me.keep("dashboard_en")

    me.page.click(".sq-languages button[value=zh-hans]")
    me.settle()
    assert "总览" in me.text("h1")


def test_parameters_are_saved_compared_and_rolled_back(visit, demo):
    actor = person(demo)
    strategies.create(actor, "问财选股", "wencai_pool", "wencai", "1.4.0")
    strategies.save_params(actor, "问财选股", {"slots": 10, "stop": [0.96, 1.2]}, "初始参数")
    strategy = Strategy.objects.get()
    me = visit()
    me.sign_in()
    me.open(f"/admin/storage_app/strategy/{strategy.pk}/new-version/?mode=json")

    me.page.fill("#id_text", '{"slots": 12, "note": "放宽止盈"}')
    me.page.fill("#id_remark", "放宽止盈")
    me.page.click("#version-form button[data-kind=primary]")
    me.settle()
    assert "v2" in me.text("#versions")
    me.keep("strategy")

    me.open(f"/admin/storage_app/strategy/{strategy.pk}/compare/")
    assert "删除" in me.text("#differences")
    me.keep("compare")

    me.open(f"/admin/storage_app/strategy/{strategy.pk}/versions/1/activate/")
    me.page.fill("#id_reason", "回滚")
    me.page.click("form.sq-panel button")
    me.settle()
    strategy.refresh_from_db()
    assert strategy.active_version.version == 1

    me.open("/admin/storage_app/auditentry/")
    assert "回滚" in me.text("#result_list")
    me.keep("audit")


@pytest.mark.parametrize(
    ("viewport", "dark"), [(None, True), (PHONE, False)], ids=["desktop-dark", "phone-light"]
)
def test_pages_fit_the_screen_in_both_themes(visit, viewport, dark):
    account = Account.objects.get()
    me = visit(viewport=viewport, dark=dark)
    me.sign_in()
    for name, path in (
        ("dashboard", "/admin/"),
        ("trades", "/admin/trades_app/trade/?since=2017-06-01&until=2017-07-26"),
        ("kline", "/admin/trades_app/dailykline/chart/600809.SH/"),
        ("account", f"/admin/storage_app/account/{account.pk}/change/"),
        ("accounts", "/admin/storage_app/account/"),
    ):
        me.open(path)
        theme, device = ("dark" if dark else "light"), ("phone" if viewport else "desktop")
        me.keep(f"{name}_{theme}_{device}")
        wide = me.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, (name, wide)
        assert me.page.evaluate("document.documentElement.classList.contains('dark')") is dark


def test_pages_work_under_a_strict_content_security_policy(visit):
    me = visit()
    me.sign_in()
    for path in (
        "/admin/trades_app/dailykline/chart/600809.SH/",
        "/admin/trades_app/trade/",
        "/admin/storage_app/account/",
        "/admin/storage_app/account/add/",
    ):
        me.open(path)

    me.open("/admin/")
    assert {RISE, FALL} <= set(me.page.evaluate(COLOURS, "kline"))
