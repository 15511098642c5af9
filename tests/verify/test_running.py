"""A comparison changes nothing, waits for what is on its way, and says what it could not see."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import connections

from storage_app.contract.watching import Cancelled, Watch
from storage_app.models import Report
from storage_app.services.actors import command, person
from storage_app.stores.journal_segments import SUFFIX
from storage_app.stores.redis import book_key
from storage_app.verify import comparing, wording
from storage_app.verify.differences import Kind
from storage_app.verify.scope import Patience
from tests import servers
from tests.factories import make_account, make_trade, make_user
from tests.verify.conftest import ACCOUNT, BOOK, OTHER, wait_until
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("known_calendar"),
]


def fingerprint(platform, redis, clickhouse):
    """Return what is in every store: the files with their times, and all rows."""
    files = {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(platform.data_dir.rglob("*"))
        if path.is_file()
    }
    keys = {key: redis.dump(key) for key in sorted(redis.keys())}
    with clickhouse.cursor() as cursor:
        tables = []
        for table in ("trade", "daily_kline", "adjust_factor"):
            cursor.execute(f"SELECT count(), sum(cityHash64(*)) FROM {table}")
            tables.append(cursor.fetchall())
    with connections["default"].cursor() as cursor:
        rows = {}
        for table in connections["default"].introspection.table_names(cursor):
            if table != "storage_app_report":
                cursor.execute(f"SELECT * FROM {table}")
                rows[table] = cursor.fetchall()
    return files, keys, tables, rows


def damage_everything(platform, redis):
    """Make every kind of difference that a repair would end."""
    redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
    (platform.data_dir / "books" / OTHER / "positions.json").write_text("{")
    path = platform.data_dir / "trades" / ACCOUNT / "2026.csv"
    path.write_bytes(path.read_bytes().replace(b",300,buy", b",301,buy")[:-1])
    (platform.data_dir / "klines" / "none" / "600000.SH.csv").unlink()
    platform.snapshot("accounts").write_text("")
    (platform.snapshot("strategies").parent / "breakout_v1.json").unlink()


@pytest.mark.parametrize("is_damaged", [False, True])
def test_nothing_changes_but_the_report(platform, redis, clickhouse, is_damaged):
    if is_damaged:
        damage_everything(platform, redis)
    before = fingerprint(platform, redis, clickhouse)
    report = platform.verify()
    assert report.is_clean is not is_damaged
    assert fingerprint(platform, redis, clickhouse) == before
    if is_damaged:
        kinds = {one["kind"] for one in report.findings}
        assert kinds == {"positions", "trades", "klines", "accounts", "strategies"}


class TestSince:
    def test_a_difference_is_dated_by_the_first_report_that_had_it(self, platform, redis):
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        first = platform.verify()
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-07")
        redis.hset(book_key(BOOK), "000001.SZ", "1|||||")
        platform.verify(kinds=frozenset({Kind.TRADES}))
        second = platform.verify()
        dated = {one["field"]: one["since"] for one in second.findings}
        assert dated["_inc_date"] == first.findings[0]["since"]
        assert dated[""] >= dated["_inc_date"]

    def test_one_that_was_gone_in_between_is_a_new_one(self, platform, redis):
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        first = platform.verify()
        Report.objects.filter(pk=first.pk).update(
            findings=[first.findings[0] | {"since": "2026-01-01T00:00:00+08:00"}]
        )
        assert platform.verify().findings[0]["since"].startswith("2026-01-01")
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-05")
        assert platform.verify().is_clean
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        assert not platform.verify().findings[0]["since"].startswith("2026-01-01")


class TestOwedWrites:
    def test_a_trade_that_is_owed_is_the_journals_business(self, platform):
        store = platform.open()
        servers.CLICKHOUSE.stop()
        try:
            store.write_trades([make_trade(timestamp=clock.now(), trade_id="late")])
        finally:
            store.close()
            servers.CLICKHOUSE.start()
        found = platform.verify().findings
        assert [(one["kind"], one["problem"], one["key"]) for one in found] == [
            ("journals", "owed", f"trades {ACCOUNT}")
        ]
        assert wording.value(found[0]["left_value"]).startswith("1 entries since ")

    def test_a_change_of_a_book_that_is_owed(self, platform):
        store = platform.open()
        servers.REDIS.stop()
        try:
            store.update_held_days("600000.SH", 9, BOOK)
        finally:
            store.close()
            servers.REDIS.start()
        report = platform.verify()
        assert {one["kind"] for one in report.findings} == {"journals"}
        assert {one["field"] for one in report.findings} == {"server", "positions.on_files"}
        assert report.summary["notes"]

    def test_a_damaged_journal(self, platform):
        store = platform.open()
        store.update_held_days("600000.SH", 9, BOOK)
        platform.settle()
        (path, *_) = (platform.data_dir / "journal").glob(f"*{SUFFIX}")
        data = bytearray(path.read_bytes())
        data[60] ^= 0xFF
        path.write_bytes(data)
        old = time.time() - 60
        os.utime(path, (old, old))
        findings = platform.verify().findings
        assert {(one["kind"], one["problem"], one["key"]) for one in findings} == {
            ("journals", "damaged", path.name)
        }


def test_writes_that_go_on_meanwhile_are_no_differences(platform):
    """Ticks, fills, trades and parameters are written while the stores are compared."""
    store = platform.open()
    stop, errors, written = threading.Event(), [], []

    def work():
        number = 0
        try:
            while not stop.is_set():
                number += 1
                if number % 50 == 1:
                    tick = (11 + number / 1000, 9 - number / 1000)
                    store.raise_extremes(BOOK, {"600000.SH": tick})
                store.record_trade(
                    ACCOUNT, clock.now(), "600000.SH", "浦发银行", "buy_trade", "", 10, 100,
                    trade_id=f"during {number}",
                )  # fmt: skip
                if number % 50 == 0:
                    store.save_strategy_params("Breakout", {"slots": number}, "during")
                written.append(number)
                time.sleep(0.004)
        except Exception as exc:  # noqa: BLE001 - told to the test
            errors.append(exc)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    patient = Patience(books=15.0, entries=1.0, snapshots=2.0)
    try:
        wait_until(lambda: len(written) > 20, "the worker works")
        scope = platform.scope(patience=patient)
        reports = [comparing.run(command("test"), scope) for _ in range(3)]
    finally:
        stop.set()
        worker.join()
    assert errors == []
    assert [report.findings for report in reports] == [[], [], []]
    assert [report.summary["compared"]["books"] for report in reports] == [2, 2, 2]


class TestOutages:
    @pytest.mark.parametrize(
        ("server", "kinds"),
        [(servers.REDIS, {"positions"}), (servers.CLICKHOUSE, {"trades", "klines"})],
        ids=["redis", "clickhouse"],
    )
    def test_a_server_that_is_down_is_named_and_the_rest_compared(self, platform, server, kinds):
        server.stop()
        try:
            report = platform.verify()
            with pytest.raises(CommandError) as exit:
                call_command("verify_stores", stdout=StringIO(), stderr=StringIO())
        finally:
            server.start()
        assert report.summary["unavailable"].keys() == kinds
        assert (report.is_clean, report.findings) == (False, [])
        assert report.summary["compared"]["accounts"] == 2
        assert exit.value.returncode == 3

    def test_a_database_that_is_down_is_status_3(self, platform):
        if connections["default"].vendor == "sqlite":
            pytest.skip("SQLite is a file of this host")
        servers.MARIADB.stop()
        try:
            with pytest.raises(CommandError) as exit:
                call_command("verify_stores", stdout=StringIO(), stderr=StringIO())
        finally:
            servers.MARIADB.start()
        assert exit.value.returncode == 3


def test_a_cancelled_comparison_keeps_what_it_found(platform, redis):
    redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
    steps = []

    def is_cancelled():
        return steps[-1].step == "trades"

    with pytest.raises(Cancelled):
        comparing.run(command("test"), platform.scope(), Watch(steps.append, is_cancelled))
    report = Report.objects.get()
    assert (len(report.findings), report.is_clean) == (1, False)
    assert report.summary["cancelled"] is True
    assert report.finished_at is not None


class TestCommands:
    def run(self, *arguments):
        out, err = StringIO(), StringIO()
        try:
            call_command(*arguments, stdout=out, stderr=err)
        except CommandError as exc:
            return exc.returncode, out.getvalue(), err.getvalue() + str(exc)
        return 0, out.getvalue(), err.getvalue()

    def test_consistent_and_not(self, platform, redis, settings):
        status, out, _ = self.run("verify_stores")
        assert status == 0
        assert "positions: 0" in out
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        status, _, err = self.run("verify_stores", "--only", "positions", "--account", ACCOUNT)
        assert status == 1
        assert f"positions: {BOOK} date of the last increment differs: redis" in err
        status, out, _ = self.run("verify_stores", "--only", "positions", "--json")
        document = json.loads(out)
        assert (status, document["clean"], document["differences"]) == (1, False, {"positions": 1})
        assert document["findings"][0]["left_value"] == "2026-03-06"

    def test_a_repair_is_shown_and_then_done(self, platform, redis):
        assert self.run("repair_stores", "--dry-run")[0] == 0
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        status, out, err = self.run("repair_stores", "--dry-run", "--only", "positions")
        assert status == 1
        assert f"positions {BOOK}: copy the book from Redis to the files (1)" in err
        assert self.run("repair_stores")[0] == 2
        status, out, _ = self.run("repair_stores", "--reason", "nightly report", "--json")
        assert (status, json.loads(out)["outcomes"]) == (0, {"done": 1})
        assert self.run("verify_stores")[0] == 0

    def test_dates_limit_what_is_compared(self, platform):
        path = platform.data_dir / "klines" / "none" / "600000.SH.csv"
        path.write_text(path.read_text().replace("20260203,10.1,", "20260203,10.11,"))
        assert self.run("verify_stores", "--since", "2026-02-04")[0] == 0
        assert self.run("verify_stores", "--until", "2026-02-03")[0] == 1


def test_who_may_compare(platform):
    with pytest.raises(PermissionDenied):
        platform.verify(person(make_user("trader")))
    mine = make_account("30000003")
    limited = person(make_user("admin", accounts=[mine]))
    with pytest.raises(PermissionDenied):
        platform.verify(limited)
    assert platform.verify(limited, accounts=frozenset({"30000003"})).pk
