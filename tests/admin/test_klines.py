from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from storage_app.admin import bar_quality
from storage_app.admin.bar_quality import Gap
from tests.factories import make_bars, make_trade
from trades_app.bar_checks import Check

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

LIST = "admin:trades_app_dailykline_changelist"


def chart(client, code, query=""):
    return client.get(reverse("admin:trades_app_dailykline_chart", args=[code]) + query)


def data_of(client, code, query=""):
    return client.get(reverse("admin:chart_kline", args=[code]) + query).json()


def without(frame, *days):
    return frame[~frame["datetime"].isin(days)]


def test_a_trading_day_without_a_bar_is_a_gap(boss, store):
    # Monday to Friday of two weeks, without Wednesday, Thursday and the Monday after.
    store.write_klines(without(make_bars(days=10), 20260304, 20260305, 20260309))

    quality = chart(boss, "600000.SH").context["quality"]

    assert (quality.bars, quality.missing, quality.is_clean) == (7, 3, False)
    assert list(quality.gaps) == [
        Gap(date(2026, 3, 4), date(2026, 3, 5), 2),
        Gap(date(2026, 3, 9), date(2026, 3, 9), 1),
    ]
    assert data_of(boss, "600000.SH")["gaps"] == ["2026-03-04", "2026-03-05", "2026-03-09"]


def test_a_weekend_between_missing_days_does_not_break_the_gap():
    days = [date(2026, 3, day) for day in (5, 10)]

    missing = bar_quality.missing_days(days)

    assert bar_quality.gaps_of(missing, days) == [Gap(date(2026, 3, 6), date(2026, 3, 9), 2)]


def test_bars_that_lack_nothing_are_clean(boss, store):
    store.write_klines(make_bars(days=10))

    page = chart(boss, "600000.SH")

    assert page.context["quality"].is_clean
    assert page.context["quality"].gaps == []
    assert data_of(boss, "600000.SH")["gaps"] == []


def test_what_the_nightly_check_would_say_of_the_bars_is_shown(boss, store):
    frame = make_bars(days=5)
    frame.loc[2, "open"] = 99.0
    store.write_klines(frame)

    page = chart(boss, "600000.SH")

    quality = page.context["quality"]
    first = quality.faults[0]
    assert (first.check, first.first) == (Check.RANGE, 20260304)
    assert not quality.is_clean
    assert "2026-03-04" in page.content.decode().partition('id="findings"')[2]


def test_a_derived_adjustment_has_a_page_and_shows_the_fills(boss, store):
    store.write_klines(make_bars(days=3))
    store.write_klines(make_bars(days=3, first_close=20.0), adjust="hfq")
    store.write_trades([make_trade()])

    page = chart(boss, "600000.SH", "?adjust=hfq")
    data = data_of(boss, "600000.SH", "?adjust=hfq")

    assert [row["close"] for row in page.context["rows"]] == [20.2, 20.1, 20.0]
    assert [mark["time"] for mark in data["marks"]] == ["2026-03-02"]


def test_a_code_is_found_by_its_name(boss, store):
    store.write_klines(make_bars("600000.SH", days=2))
    store.write_klines(make_bars("600036.SH", days=2))
    store.write_trades([make_trade(code="600036.SH", name="招商银行")])
    search = reverse("admin:kline_search")
    suggest = reverse("admin:trades_app_dailykline_suggest")

    assert boss.get(search + "?code=招商").url.endswith("/chart/600036.SH/")
    assert boss.get(search + "?code=600").url == reverse(LIST) + "?code=600"
    assert {one["value"] for one in boss.get(suggest + "?q=600").json()["found"]} == {
        "600000.SH",
        "600036.SH",
    }
    assert {
        bar.code for bar in boss.get(reverse(LIST) + "?code=招商").context["cl"].result_list
    } == {"600036.SH"}


def test_names_of_foreign_trades_lead_nowhere(desk, limited):
    suggest = reverse("admin:trades_app_dailykline_suggest")
    search = limited.get(reverse("admin:kline_search") + "?code=招商")

    assert limited.get(suggest + "?q=招商").json() == {"found": []}
    assert "chart" not in search.url
