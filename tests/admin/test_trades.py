from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO, StringIO

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from storage_app.admin import exports, periods
from tests.admin.conftest import signed_in
from tests.factories import make_account, make_trade, make_user
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

TRADES = "admin:trades_app_trade_changelist"
STATISTICS = "admin:statistics"


def moment(day, minute=31, month=3, year=2026):
    return datetime(year, month, day, 9, minute, tzinfo=clock.SHANGHAI)


def page_of(client, query="", name=TRADES):
    return client.get(reverse(name) + query)


def codes_of(page):
    return [trade.code for trade in page.context["cl"].result_list]


def exported(client, kind="csv", query=""):
    answer = client.get(reverse("admin:trades_app_trade_export", args=[kind]) + query)
    content = b"".join(answer.streaming_content)
    if kind == "csv":
        return list(csv.reader(StringIO(content.decode("utf-8-sig"))))
    (sheet,) = load_workbook(BytesIO(content)).worksheets
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def test_the_periods_end_today():
    with clock.pinned(datetime(2026, 3, 18, 10, tzinfo=clock.SHANGHAI)):
        assert {name: periods.bounds(name) for name in periods.PERIODS} == {
            "today": ("2026-03-18", "2026-03-18"),
            "week": ("2026-03-12", "2026-03-18"),
            "month": ("2026-03-01", "2026-03-18"),
            "year": ("2026-01-01", "2026-03-18"),
            "all": ("", ""),
        }


def test_a_period_is_chosen_at_one_click_and_keeps_the_other_filters(boss, store):
    store.write_trades(
        [
            make_trade(code="600000.SH", timestamp=moment(9, year=2024)),
            make_trade(code="600000.SH", timestamp=moment(16)),
            make_trade(code="600036.SH", timestamp=moment(18)),
        ]
    )
    with clock.pinned(datetime(2026, 3, 18, 15, tzinfo=clock.SHANGHAI)):
        links = {str(one.label): one for one in page_of(boss, "?code=600000").context["cl"].periods}
        found = {
            name: len(page_of(boss, f"?period={name}").context["cl"].result_list)
            for name in periods.PERIODS
        }
        week = page_of(boss, links["7 days"].query).context["cl"]

    assert found == {"today": 1, "week": 2, "month": 2, "year": 2, "all": 3}
    assert [one.code for one in week.result_list] == ["600000.SH"]
    assert [str(one.label) for one in week.periods if one.is_chosen] == ["7 days"]


def test_another_filter_keeps_all_time(boss, store):
    store.write_trades([make_trade(timestamp=moment(2, year=2019)), make_trade()])

    page = page_of(boss, "?period=all")

    assert '<input type="hidden" name="period" value="all"' in page.content.decode()
    assert len(page_of(boss, "?period=all&kind=buy_trade").context["cl"].result_list) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("浦发", {"600000.SH"}),
        ("银行", {"600000.SH", "600036.SH", "000001.SZ"}),
        ("600", {"600000.SH", "600036.SH"}),
        ("000001", {"000001.SZ"}),
        ("sh600036", {"600036.SH"}),
        (" 600036.sh ", {"600036.SH"}),
    ],
)
def test_a_code_is_found_by_number_and_by_part_of_its_name(boss, store, text, found):
    names = {"600000.SH": "浦发银行", "600036.SH": "招商银行", "000001.SZ": "平安银行"}
    store.write_trades([make_trade(code=code, name=name) for code, name in names.items()])

    assert set(codes_of(page_of(boss, f"?code={text}"))) == found


def test_totals_are_those_of_the_filtered_set_not_of_the_page(boss, store):
    store.write_trades([make_trade(price="10.01", volume=100) for _number in range(60)])
    store.write_trades([make_trade(order_type="sell_trade", price="20", volume=300)])
    store.write_trades([make_trade(order_type="buy_order", order_id="7", trade_id="")])
    store.write_trades([make_trade(code="600036.SH", timestamp=moment(3))])

    page = page_of(boss, "?code=600000")
    totals = page.context["cl"].summary["totals"]

    assert len(page.context["cl"].result_list) == 50
    assert totals.rows == 62
    assert totals.turnover == Decimal("66060.00")
    assert {one.order_type: (one.rows, one.volume, one.amount) for one in totals.kinds} == {
        "buy_trade": (60, 6000, Decimal("60060")),
        "buy_order": (1, 1000, Decimal("10000")),
        "sell_trade": (1, 300, Decimal("6000")),
    }
    assert "66,060.00" in page.content.decode()


def test_the_totals_of_nothing_are_nothing(boss, store):
    page = page_of(boss)

    assert page.context["cl"].summary["totals"].rows == 0
    assert "import_legacy" in page.content.decode()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_export_has_every_filtered_row(boss, store, monkeypatch, kind):
    monkeypatch.setattr(exports, "CHUNK", 7)
    written = [make_trade(timestamp=moment(2, minute=n), price="10.5") for n in range(40)]
    store.write_trades([*written, make_trade(code="600036.SH")])

    header, *rows = exported(boss, kind, "?code=600000")

    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert [one["Uid"] for one in cells] == [one.trade_uid for one in reversed(written)]
    first = {name: str(value) for name, value in cells[0].items()}
    assert first["Time"] == "2026-03-02 09:39:00"
    assert (first["Code"], first["Name"], first["Kind"]) == ("600000.SH", "浦发银行", "Buy fill")
    assert (Decimal(first["Price"]), first["Volume (shares)"]) == (Decimal("10.5"), "1000")
    assert Decimal(first["Amount"]) == Decimal(10500)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("remark", ["=1+1", "+1", "-1", "@SUM(A1)", "＝HYPERLINK(1)"])
def test_no_cell_of_an_export_is_a_formula(boss, store, kind, remark):
    store.write_trades([make_trade(remark=remark, strategy_name=remark)])

    header, row = exported(boss, kind)

    cells = dict(zip(header, row, strict=True))
    assert cells["Remark"] == cells["Strategy"] == f"'{remark}"


@given(st.text(max_size=20))
def test_a_cell_is_made_harmless_without_losing_anything(text):
    cell = exports.harmless(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_workbook_goes_on_with_another_sheet(boss, store, monkeypatch):
    monkeypatch.setattr(exports, "SHEET_ROWS", 4)
    store.write_trades([make_trade(timestamp=moment(2, minute=n)) for n in range(7)])

    answer = boss.get(reverse("admin:trades_app_trade_export", args=["xlsx"]))
    book = load_workbook(BytesIO(b"".join(answer.streaming_content)))

    assert [sheet.max_row for sheet in book.worksheets] == [4, 4, 2]
    assert {sheet["A1"].value for sheet in book.worksheets} == {"Time"}


def test_an_export_of_a_senseless_filter_leads_back_to_what_is_wrong(boss, store):
    answer = boss.get(reverse("admin:trades_app_trade_export", args=["csv"]) + "?since=never")

    assert answer.url == reverse(TRADES) + "?since=never"
    assert boss.get("/admin/trades_app/trade/export/exe/").status_code == 404


def test_exports_and_suggestions_stay_within_the_granted_accounts(desk, limited, boss):
    rows = exported(limited, query="?period=all")
    suggest = reverse("admin:trades_app_trade_suggest", args=["code"])

    assert [row[3] for row in rows[1:]] == ["600000.SH"]
    assert len(exported(boss, query="?period=all")) == 3
    assert limited.get(suggest + "?q=招商").json() == {"found": []}
    assert boss.get(suggest + "?q=招商").json() == {
        "found": [{"value": "600036.SH", "label": "招商银行"}]
    }


def test_a_foreign_account_cannot_be_exported_by_its_key(desk, limited):
    answer = limited.get(
        reverse("admin:trades_app_trade_export", args=["csv"]) + f"?account={desk.foreign.pk}"
    )

    assert answer.status_code == 302


def test_account_numbers_are_masked_for_who_may_not_see_them(desk):
    viewer = signed_in(make_user("viewer"))
    viewer.cookies["django_language"] = "en"
    pages = [
        reverse("admin:index"),
        reverse("admin:positions"),
        reverse(TRADES) + "?period=all",
        reverse(STATISTICS),
        reverse("admin:trades_app_trade_change", args=[desk.my_trade]),
        reverse("admin:storage_app_account_changelist"),
        reverse("admin:storage_app_account_change", args=[desk.mine.pk]),
        reverse("admin:storage_app_tradeconflict_changelist"),
        reverse("admin:storage_app_tradeconflict_change", args=[desk.conflict.pk]),
    ]

    for page in pages:
        text = viewer.get(page).content.decode()
        assert "10000001" not in text, page
        assert "****0001" in text or "10000001" not in text, page
    assert {row[2] for row in exported(viewer, query="?period=all")[1:]} == {"****0001", "****0002"}


def test_a_sell_shows_the_lots_it_closed_and_what_it_earned(boss, store):
    first = make_trade(price="10", volume=300, timestamp=moment(2))
    second = make_trade(price="11", volume=300, timestamp=moment(3))
    sell = make_trade(order_type="sell_trade", price="12.5", volume=700, timestamp=moment(4))
    store.write_trades([sell, second, first])

    page = boss.get(reverse("admin:trades_app_trade_change", args=[sell.trade_uid]))
    bought = boss.get(reverse("admin:trades_app_trade_change", args=[second.trade_uid]))

    lots = page.context["lots"]
    assert [(lot.buy.uid, lot.volume) for lot in lots.rows] == [
        (first.trade_uid, 300),
        (second.trade_uid, 300),
    ]
    assert lots.profit == Decimal(1200)
    assert lots.rest == 100
    assert "+1,200.00" in page.content.decode()
    assert [lot.sell.uid for lot in bought.context["lots"].rows] == [sell.trade_uid]
    assert bought.context["lots"].rest == 0


def test_a_trade_names_the_conflict_over_it(desk, limited):
    page = limited.get(reverse("admin:trades_app_trade_change", args=[desk.my_trade]))

    url = reverse("admin:storage_app_tradeconflict_change", args=[desk.conflict.pk])
    assert url in page.content.decode()
    assert "waits for a decision" in page.content.decode()


def test_profit_of_assumed_fills_is_called_an_estimate(boss, store):
    make_account("55009728")
    buy = make_trade(price="10", timestamp=moment(2))
    sell = make_trade(order_type="sell_trade", price="11", timestamp=moment(3))
    store.write_trades([replace(buy, source="assumed"), sell])

    for url in (
        reverse(STATISTICS),
        reverse("admin:trades_app_trade_change", args=[sell.trade_uid]),
    ):
        assert "Profit is an estimate" in boss.get(url).content.decode(), url
    assert "Buy fill · assumed" in page_of(boss, "?period=all").content.decode()


def test_statistics_add_up_by_month_and_by_account(boss, store):
    mine, other = make_account("10000001"), make_account("20000002")
    rows = [
        make_trade(account_id="10000001", price="10", volume=1000, timestamp=moment(2, month=1)),
        make_trade(
            account_id="10000001", price="12", volume=1000, order_type="sell_trade",
            timestamp=moment(2, month=2),
        ),
        make_trade(account_id="20000002", price="10", volume=1000, timestamp=moment(3, month=2)),
        make_trade(
            account_id="20000002", price="9", volume=1000, order_type="sell_trade",
            timestamp=moment(4, month=2),
        ),
    ]  # fmt: skip
    store.write_trades(rows)

    page = page_of(boss, name=STATISTICS)

    shown = page.context
    assert [(row["period"], row["trade_count"], row["profit"]) for row in shown["rows"]] == [
        ("2026-02", 3, 1000.0),
        ("2026-01", 1, 0.0),
    ]
    assert {one.account.pk: one.row["profit"] for one in shown["results"]} == {
        mine.pk: 2000.0,
        other.pk: -1000.0,
    }
    assert shown["total"]["win_rate"] == 0.5
    assert shown["total"]["net"] == pytest.approx(
        sum(one.row["net"] for one in shown["results"]), abs=0.001
    )
    assert shown["chart"]["periods"][-1]["running"] == pytest.approx(shown["total"]["net"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?by=day&since=2026-02-01", [("2026-02-04", 1), ("2026-02-02", 1)]),
        ("?by=year", [("2026", 3)]),
        ("?by=year&until=2025-12-31", []),
    ],
)
def test_statistics_are_grouped_and_bounded_but_know_earlier_buys(boss, store, query, found):
    make_account("55009728")
    store.write_trades(
        [
            make_trade(price="10", volume=200, timestamp=moment(5, month=1)),
            make_trade(
                price="11", volume=100, order_type="sell_trade", timestamp=moment(2, month=2)
            ),
            make_trade(
                price="12", volume=100, order_type="sell_trade", timestamp=moment(4, month=2)
            ),
        ]
    )

    shown = page_of(boss, query, STATISTICS).context

    assert [(row["period"], row["trade_count"]) for row in shown["rows"]] == found
    if "since" in query:
        assert shown["total"]["profit"] == 300.0


def test_statistics_show_the_granted_accounts_only(desk, limited):
    page = page_of(limited, name=STATISTICS)
    foreign = page_of(limited, f"?account={desk.foreign.pk}", STATISTICS)

    assert page.context["total"]["trade_count"] == 1
    assert "account" in foreign.context["form"].errors
    assert "Foreign account" not in foreign.content.decode()


def test_days_of_a_trade_stand_in_the_order_of_their_dates(boss, store):
    store.write_trades([make_trade(timestamp=moment(day)) for day in (4, 2, 3)])

    rows = page_of(boss, "?period=all").context["cl"].result_list

    assert [row.trade_date for row in rows] == [date(2026, 3, day) for day in (4, 3, 2)]
