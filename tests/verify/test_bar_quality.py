"""check_klines over the bars in ClickHouse: found, counted, stored, with statuses."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from storage_app.contract.errors import Unavailable
from storage_app.models import Report
from storage_app.services.actors import command, person
from storage_app.stores.clickhouse import ClickHouseKlines
from storage_app.verify import bar_quality
from storage_app.verify.bar_quality import BarScope
from tests import servers
from tests.factories import make_bars, make_user
from trades_app.market import calendar

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

CODES = [f"6000{number:02}.SH" for number in range(8)]


@pytest.fixture
def klines(clickhouse, data_dir, english):
    """30 trading days of eight codes without a fault."""
    days = [
        int(f"{day:%Y%m%d}") for day in calendar.trading_days(date(2026, 3, 2), date(2026, 4, 13))
    ]
    store = ClickHouseKlines()
    for number, code in enumerate(CODES):
        frame = make_bars(code, len(days), first_close=10.0 + number).assign(datetime=days)
        store.write_klines(frame, source="akshare")
    yield store, days
    store.close()


def check(**fields):
    return bar_quality.run(command("test"), BarScope(**fields))


def found(report):
    return [(one["check"], one["code"], one["first"], one["count"]) for one in report.findings]


def test_good_bars_are_clean(klines):
    report = check()
    assert (report.is_clean, report.findings) == (True, [])
    assert (report.summary["codes"], report.summary["bars"]) == (8, 8 * 30)


def test_faults_of_the_whole_market_in_small_batches(klines, clickhouse):
    store, days = klines
    # A hole in one code, a copy of one code under another, and an amount in lots.
    with clickhouse.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE daily_kline DELETE WHERE code = '{CODES[0]}' "
            "AND trade_date = '2026-03-10' SETTINGS mutations_sync = 1"
        )
    twin = make_bars("600900.SH", len(days), first_close=11.0).assign(datetime=days)
    store.write_klines(twin)
    lots = make_bars(CODES[2], len(days), first_close=12.0).assign(datetime=days)
    store.write_klines(lots.assign(volume=1000), source="akshare")
    whole, small = check(), check(batch_bars=70)
    assert found(whole) == found(small)
    assert set(found(whole)) == {
        ("lots", CODES[2], "2026-03-02", 30),
        ("gap", CODES[0], "2026-03-10", 1),
        ("twin", CODES[1], "2026-03-02", 30),
    }
    assert whole.summary["severities"] == {"error": 1, "warning": 2}
    assert whole.findings[0]["severity"] == "error"
    assert not whole.is_clean


def test_sources_that_contradict_each_other(klines, clickhouse):
    store, days = klines
    with clickhouse.cursor() as cursor:
        cursor.execute("SYSTEM STOP MERGES daily_kline")
        try:
            frame = make_bars(CODES[3], 5, first_close=13.0).assign(datetime=days[:5])
            store.write_klines(frame, source="tdx")
            assert check().is_clean
            store.write_klines(frame.assign(close=frame["close"] + 0.01), source="tdx")
            report = check()
        finally:
            cursor.execute("SYSTEM START MERGES daily_kline")
    assert found(report) == [("sources", CODES[3], "2026-03-02", 5)]
    assert report.findings[0]["detail"] == "akshare, tdx"


def test_one_code_and_some_days(klines):
    store, days = klines
    bad = make_bars(CODES[4], 1, first_close=14.9).assign(datetime=days[9], volume=0)
    store.write_klines(bad, source="akshare")
    assert [one[0] for one in found(check(codes=["600004"]))] == ["turnover"]
    assert check(codes=[CODES[5]]).is_clean
    assert check(since=date(2026, 3, 16)).is_clean
    assert not check(since=date(2026, 3, 13), until=date(2026, 3, 13)).is_clean


def test_statuses_of_the_command(klines):
    def run(*arguments):
        out, err = StringIO(), StringIO()
        try:
            call_command("check_klines", *arguments, stdout=out, stderr=err)
        except CommandError as exc:
            return exc.returncode, out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    store, days = klines
    assert run()[0] == 0
    assert run("600009.SH")[0] == 2
    assert run("not a code")[0] == 2
    bad = make_bars(CODES[4], 1, first_close=14.9).assign(datetime=days[9], volume=0)
    store.write_klines(bad, source="akshare")
    status, _, err = run()
    assert status == 1
    assert f"error: none {CODES[4]} 2026-03-13 volume and amount contradict each other (1)" in err
    document = json.loads(run("--json")[1])
    assert (document["clean"], document["checks"]) == (False, {"turnover": 1})
    servers.CLICKHOUSE.stop()
    try:
        assert run()[0] == 3
        with pytest.raises(Unavailable):
            check()
    finally:
        servers.CLICKHOUSE.start()
    assert not Report.objects.latest("pk").is_clean


def test_who_may_check(klines):
    with pytest.raises(PermissionDenied):
        bar_quality.run(person(make_user("trader")))
    assert bar_quality.run(person(make_user("admin"))).is_clean
