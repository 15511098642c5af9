"""Reports of comparisons: read, filtered, limited to accounts, and repaired after a question."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django_redis import get_redis_connection

from storage_app.models import AuditEntry, Report
from storage_app.services.actors import command
from storage_app.stores.redis import book_key
from storage_app.verify import comparing
from storage_app.verify.scope import Patience, Scope
from tests import servers
from tests.admin.conftest import signed_in
from tests.factories import make_report, make_user

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

BOOK = "10000001"
LIST = "admin:storage_app_report_changelist"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """The desk's stores are still open: only what stands long counts, and tests do not wait."""
    hurried = Patience(books=0.5, entries=0.0, snapshots=0.0)
    monkeypatch.setattr("storage_app.admin.reports.PATIENCE", hurried)


def finding(account="10000001", kind="positions", field="held_days", **values):
    return {
        "kind": kind,
        "problem": "differs",
        "account_id": account,
        "key": f"{account} 600000.SH",
        "field": field,
        "left": f"redis sq:{{{account}}}",
        "left_value": 4,
        "right": f"/var/books/{account}",
        "right_value": 3,
        "since": "2026-03-02T20:00:00+08:00",
    } | values


def page_of(client, report, query=""):
    address = reverse("admin:storage_app_report_change", args=[report.pk])
    return client.get(address + query)


def rows_of(page):
    return [
        [" ".join(filter(None, (cell.badge, *cell.lines))) for cell in row]
        for row in page.context["rows"]
    ]


def differ(value="2026-03-06"):
    get_redis_connection("positions").hset(book_key(BOOK), "_inc_date", value)


def compare(desk_store):
    desk_store.close()
    scope = Scope(patience=Patience(0.5, 0.0, 0.0))
    return comparing.run(command("test"), scope)


def repair_address(report):
    return reverse("admin:storage_app_report_repair", args=[report.pk])


class TestThePage:
    def test_what_where_both_values_and_since_when(self, boss):
        report = make_report(
            findings=[finding()],
            summary={"differences": {"positions": 1}, "compared": {"books": 2}, "notes": [
                ["%(book)s has owed changes: not compared.", {"book": "10000001/x"}]
            ]},
        )  # fmt: skip
        page = page_of(boss, report)
        assert page.context["columns"] == ("What", "Difference", "Here", "There", "Since")
        assert rows_of(page) == [
            [
                "10000001 600000.SH positions",
                "differs held days",
                "4 redis sq:{10000001}",
                "3 /var/books/10000001",
                "2026-03-02 20:00",
            ]
        ]
        text = page.content.decode()
        assert "10000001/x has owed changes: not compared." in text
        assert "positions: 1" in text

    def test_findings_are_filtered_by_kind_and_paged(self, boss):
        many = [finding(field=f"field {n}") for n in range(150)]
        report = make_report(findings=[*many, finding(kind="trades")])
        page = page_of(boss, report)
        assert len(page.context["rows"]) == 100
        assert [(one.value, one.count) for one in page.context["filters"]] == [
            ("positions", 150), ("trades", 1),
        ]  # fmt: skip
        assert len(page_of(boss, report, "?p=2").context["rows"]) == 51
        assert len(page_of(boss, report, "?only=trades").context["rows"]) == 1
        assert len(page_of(boss, report, "?only=rubbish&p=x").context["rows"]) == 100

    def test_faults_of_bars_have_severities(self, boss):
        fault = {
            "check": "gap", "severity": "warning", "series": "none", "code": "600000.SH",
            "first": "2026-03-02", "last": "2026-03-03", "count": 2, "detail": "2026-03-02",
        }  # fmt: skip
        page = page_of(boss, make_report("klines", [fault, fault | {"severity": "info"}]))
        assert rows_of(page)[0] == [
            "600000.SH none",
            "warning days without a bar",
            "2026-03-02 … 2026-03-03",
            "2",
            "2026-03-02",
        ]
        assert {one.label for one in page.context["filters"]} == {"warning", "remark"}

    def test_the_list_is_filtered_by_kind_and_outcome(self, boss):
        clean, dirty = make_report(), make_report("klines", [finding()])
        listed = lambda query: list(boss.get(reverse(LIST) + query).context["cl"].result_list)  # noqa: E731
        assert listed("?kind__exact=klines") == [dirty]
        assert listed("?is_clean__exact=1") == [clean]
        assert set(listed("")) == {clean, dirty}

    def test_values_are_shown_as_text(self, boss):
        report = make_report(findings=[finding(left_value="<script>alert(1)</script>")])
        assert "<script>alert(1)" not in page_of(boss, report).content.decode()


class TestRowScope:
    def test_findings_of_other_accounts_and_of_none_are_not_shown(self, desk, limited):
        report = make_report(
            findings=[finding(), finding("20000002"), finding("", kind="klines")],
            summary={"differences": {"positions": 2}},
        )
        page = page_of(limited, report)
        assert [row[0] for row in rows_of(page)] == ["10000001 600000.SH positions"]
        assert "20000002" not in page.content.decode()
        assert page.context["facts"] == []
        listed = limited.get(reverse(LIST)).content.decode()
        assert "Findings" in listed

    def test_a_report_about_others_is_clean_for_who_does_not_see_them(self, desk, limited):
        page = page_of(limited, make_report(findings=[finding("20000002")]))
        assert rows_of(page) == []
        assert "Clean" in page.context["badge"]


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
class TestRepair:
    def test_it_is_shown_first_and_done_with_a_reason(self, desk, boss, store):
        differ()
        report = compare(store)
        assert [one["field"] for one in report.findings] == ["_inc_date"]
        assert repair_address(report) in page_of(boss, report).content.decode()

        shown = boss.get(repair_address(report)).content.decode()
        assert "copy the book from Redis to the files" in shown
        assert f"redis sq:{{{BOOK}}} = 2026-03-06; books/{BOOK} = –" in shown
        assert not AuditEntry.objects.filter(action="repair").exists()

        refused = boss.post(repair_address(report), {"reason": " "})
        assert "copy the book from Redis to the files" in refused.content.decode()
        assert not AuditEntry.objects.filter(action="repair").exists()

        answer = boss.post(repair_address(report), {"reason": "nightly report"}, follow=True)
        entry = AuditEntry.objects.get(action="repair")
        assert (entry.actor, entry.reason, entry.account_id) == ("boss", "nightly report", BOOK)
        done = Report.objects.get(kind="repair")
        assert (done.is_clean, done.actor) == (True, "boss")
        assert answer.context["report"] == done
        assert rows_of(answer)[0][-1] == "done"
        assert compare(store).is_clean

        again = boss.get(repair_address(report), follow=True).content.decode()
        assert "Nothing differs any more" in again

    def test_a_plan_that_is_not_true_any_more_is_not_done(self, desk, boss, store):
        differ()
        report = compare(store)
        boss.get(repair_address(report))
        get_redis_connection("positions").hset(book_key(BOOK), "600519.SH", "1|||||")
        answer = boss.post(repair_address(report), {"reason": "why"})
        assert "look at the plan again" in answer.content.decode()
        assert not AuditEntry.objects.filter(action="repair").exists()

    def test_a_server_that_is_down_is_named(self, desk, boss, store):
        differ()
        report = compare(store)
        servers.REDIS.stop()
        try:
            answer = boss.get(repair_address(report), follow=True)
        finally:
            servers.REDIS.start()
        assert "redis is unavailable" in answer.content.decode()

    def test_administrators_may_and_only_for_accounts_in_reach(self, desk, store):
        differ()
        get_redis_connection("positions").hset(
            book_key("20000002/other"), "_inc_date", "2026-03-06"
        )
        report = compare(store)
        for role in ("trader", "viewer", "developer"):
            client = signed_in(make_user(role))
            assert client.get(repair_address(report)).status_code == 403
            assert client.post(repair_address(report), {"reason": "why"}).status_code == 403
        limited = signed_in(make_user("admin", accounts=[desk.mine]))
        shown = limited.get(repair_address(report)).content.decode()
        assert "20000002" not in shown
        limited.post(repair_address(report), {"reason": "mine"})
        assert AuditEntry.objects.get(action="repair").account_id == BOOK
        assert [one["account_id"] for one in compare(store).findings] == ["20000002"]

    def test_a_clean_report_has_nothing_to_repair(self, desk, boss):
        report = make_report()
        assert repair_address(report) not in page_of(boss, report).content.decode()
