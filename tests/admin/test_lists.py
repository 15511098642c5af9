from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.conftest import signed_in
from tests.factories import (
    make_account,
    make_bars,
    make_binding,
    make_snapshot,
    make_strategy,
    make_superuser,
    make_trade,
)
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

TRADES = "admin:trades_app_trade_changelist"
BARS = "admin:trades_app_dailykline_changelist"


def moment(day, minute=31):
    return datetime(2026, 3, day, 9, minute, tzinfo=clock.SHANGHAI)


def rows_of(client, url):
    return list(client.get(url).context["cl"].result_list)


def test_trades_open_on_the_last_date_with_data_and_say_so(boss, store):
    store.write_trades([make_trade(timestamp=moment(2)), make_trade(timestamp=moment(5))])

    page = boss.get(reverse(TRADES))

    assert [trade.trade_date for trade in page.context["cl"].result_list] == [date(2026, 3, 5)]
    assert "Last trading date with data: 2026-03-05" in page.content.decode()


def test_trades_are_filtered_by_account_code_kind_and_dates(boss, store):
    first, second = make_account("10000001"), make_account("20000002")
    store.write_trades(
        [
            make_trade(account_id="10000001", code="600000.SH", timestamp=moment(2)),
            make_trade(account_id="10000001", code="600036.SH", timestamp=moment(3)),
            make_trade(
                account_id="20000002",
                code="600000.SH",
                timestamp=moment(4),
                order_type="sell_trade",
            ),
        ]
    )

    def dates(query):
        return [trade.trade_date.day for trade in rows_of(boss, reverse(TRADES) + query)]

    assert dates(f"?account={first.pk}") == [3, 2]
    assert dates("?code=sh600000") == [4, 2]
    assert dates("?kind=sell_trade") == [4]
    assert dates("?since=2026-03-02&until=2026-03-03") == [3, 2]
    assert dates(f"?account={second.pk}&code=600036.SH") == []


def test_a_filter_that_makes_no_sense_is_explained_and_shows_nothing(boss, store):
    store.write_trades([make_trade()])

    page = boss.get(reverse(TRADES) + "?code=nonsense")

    assert "No code and no name of a trade holds this text." in page.content.decode()
    assert page.context["cl"].result_list == []


def test_paging_shows_every_trade_once_newest_first(boss, store):
    # Many share their moment, so that only the whole key tells them apart.
    written = [make_trade(timestamp=moment(2, minute=n % 7)) for n in range(130)]
    store.write_trades(written)

    seen, url = [], reverse(TRADES)
    while url:
        changelist = boss.get(url).context["cl"]
        seen += changelist.result_list
        url = changelist.has_next and reverse(TRADES) + changelist.next_page

    moments = [trade.traded_at for trade in seen]
    assert sorted(str(trade.trade_uid) for trade in seen) == sorted(t.trade_uid for t in written)
    assert moments == sorted(moments, reverse=True)


def test_a_page_address_that_nobody_made_is_the_first_page(boss, store):
    store.write_trades([make_trade()])
    for after in ("junk", "a~b", "2026-03-02~not-a-uuid", f"{10**20}~{uuid4()}"):
        assert len(rows_of(boss, f"{reverse(TRADES)}?after={after}")) == 1


@pytest.mark.parametrize(
    ("query", "most"), [("", 3), ("?account=", 3), ("?code=600000.SH", 5), ("?period=all", 4)]
)
def test_a_page_of_trades_is_few_queries_and_reads_one_page_of_rows(boss, store, query, most):
    store.write_trades([make_trade(timestamp=moment(day)) for day in (2, 3, 4)])

    with CaptureQueriesContext(connections["clickhouse"]) as captured:
        boss.get(reverse(TRADES) + query)
    sql = [one["sql"].lower() for one in captured]

    assert len(sql) <= most
    # The rest add up in the server: the last date with data, and the totals.
    rows = [one for one in sql if "max(" not in one and "group by" not in one]
    assert all("limit 51" in one for one in rows)
    assert not [one for one in sql if "offset" in one]
    assert len(rows) == (1 if most == 3 else 2)


def test_a_full_page_is_read_from_the_newest_months_only(boss, store):
    store.write_trades([make_trade(timestamp=moment(3)) for _number in range(60)])
    store.write_trades([make_trade(timestamp=datetime(2019, 3, 4, 10, tzinfo=clock.SHANGHAI))])

    with CaptureQueriesContext(connections["clickhouse"]) as captured:
        rows = rows_of(boss, reverse(TRADES) + "?period=all")

    (query,) = [one["sql"] for one in captured if "LIMIT 51" in one["sql"]]
    assert "2025-11-03" in query
    assert {row.trade_date for row in rows} == {date(2026, 3, 3)}


def test_a_replaced_copy_of_a_trade_is_not_shown_twice(boss, store, clickhouse):
    trade = make_trade()
    store.write_trades([trade])
    with clickhouse.cursor() as cursor:
        cursor.execute("INSERT INTO trade SELECT * REPLACE (now64(6) AS ingested_at) FROM trade")

    assert len(rows_of(boss, reverse(TRADES))) == 1


def test_numbers_have_thousands_separators(boss, store):
    account = make_account()
    make_snapshot(account, total_assets=1234567)
    store.write_trades([make_trade(price="123.45", volume=12300)])

    trades = boss.get(reverse(TRADES)).content.decode()
    accounts = boss.get(reverse("admin:storage_app_account_changelist")).content.decode()

    assert "12,300" in trades
    assert "1,518,435.00" in trades
    assert "1,234,567.00" in accounts


def test_a_trade_has_a_page_with_the_other_rows_of_its_order(boss, store):
    fill = make_trade(order_id="O-1", trade_id="T-1")
    order = make_trade(order_id="O-1", trade_id="", order_type="buy_order")
    store.write_trades([fill, order])

    page = boss.get(reverse("admin:trades_app_trade_change", args=[fill.trade_uid]))

    assert "T-1" in page.content.decode()
    assert [str(one["row"].pk) for one in page.context["related"]] == [order.trade_uid]


@pytest.mark.parametrize("uid", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_trade_that_does_not_exist_is_not_found(boss, store, uid):
    assert boss.get(f"/admin/trades_app/trade/{uid}/change/").status_code == 404


def test_bars_open_on_the_last_date_and_one_code_goes_back_a_year(boss, store):
    store.write_klines(make_bars("600000.SH", days=5))
    store.write_klines(make_bars("600036.SH", days=4))

    last = rows_of(boss, reverse(BARS))
    of_code = rows_of(boss, reverse(BARS) + "?code=600036")

    assert [(bar.code, bar.trade_date) for bar in last] == [("600000.SH", date(2026, 3, 6))]
    assert [bar.trade_date.day for bar in of_code] == [5, 4, 3, 2]


def test_paging_shows_every_bar_once(boss, store):
    codes = [f"600{number:03d}.SH" for number in range(60)]
    for code in codes:
        store.write_klines(make_bars(code, days=2))

    seen, url = [], reverse(BARS) + "?since=2026-03-02&until=2026-03-03"
    while url:
        changelist = boss.get(url).context["cl"]
        seen += [(bar.trade_date, bar.code) for bar in changelist.result_list]
        url = changelist.has_next and reverse(BARS) + changelist.next_page

    assert len(seen) == len(set(seen)) == 120


def test_a_code_in_any_spelling_leads_to_its_chart(boss, store):
    answer = boss.get(reverse("admin:kline_search") + "?code=sh600000")
    wrong = boss.get(reverse("admin:kline_search") + "?code=<b>")

    assert answer.url == reverse("admin:trades_app_dailykline_chart", args=["600000.SH"])
    assert wrong.url == reverse(BARS) + "?code=%3Cb%3E"


def test_chart_data_is_what_the_store_has(boss, store):
    store.write_klines(make_bars("600000.SH", days=3))

    data = boss.get(reverse("admin:chart_kline", args=["600000.SH"])).json()
    none = boss.get(reverse("admin:chart_kline", args=["600036.SH"])).json()
    junk = boss.get(reverse("admin:chart_kline", args=["junk"]))

    assert [bar["time"] for bar in data["bars"]] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert data["bars"][0]["close"] == 10.0
    assert none == {"message": "No bars for 600036.SH."}
    assert junk.status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "index",
        "storage_app_account_changelist",
        "storage_app_accountstrategy_changelist",
        "storage_app_strategy_changelist",
        "storage_app_user_changelist",
        "storage_app_auditentry_changelist",
    ],
)
def test_the_number_of_queries_does_not_grow_with_the_rows(store, name):
    client = signed_in(make_superuser())
    strategy = make_strategy(params={"a": 1})

    def queries():
        with CaptureQueriesContext(connections["default"]) as captured:
            assert client.get(reverse(f"admin:{name}")).status_code == 200
        return len(captured)

    def grow(number):
        for step in range(number):
            account = make_account()
            make_binding(account, make_strategy(params={"a": 1}) if step else strategy)
            for day in range(3):
                make_snapshot(account, date(2026, 3, 2) + timedelta(days=day))

    grow(1)
    queries()
    few = queries()
    grow(8)

    assert queries() == few
    assert few <= 20
