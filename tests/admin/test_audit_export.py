"""The audit trail as a file: what the filters show, all of it, and nothing a spreadsheet runs."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from storage_app.admin import audit as page
from storage_app.admin.csv_answers import harmless
from storage_app.models import AuditEntry
from storage_app.services import accounts
from storage_app.services.actors import trader
from tests.admin.conftest import signed_in
from tests.factories import make_account, make_user

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("store"),
]
EXPORT = "admin:storage_app_auditentry_export"


def rows_of(client, query=""):
    answer = client.get(reverse(EXPORT) + query)
    assert answer.streaming
    text = b"".join(answer).decode("utf-8-sig")
    return list(csv.reader(StringIO(text)))[1:]


def rename(account, reason, times=1):
    for number in range(times):
        accounts.update(
            trader(), account.account_id, {"account_name": f"{reason} {number}"}, reason
        )


def test_each_entry_is_a_row_with_who_when_what_and_why(boss):
    account = make_account("10000001", account_name="Old")
    accounts.update(trader(), "10000001", {"account_name": "新"}, "typo")

    (row, *_rest) = rows_of(boss, "?q=typo")

    at, who, action, entity, key, number, before, after, reason, origin = row
    assert at[:4].isdecimal()
    assert at.endswith("+08:00")
    assert who.startswith("trader@")
    assert (action, entity, key, number) == ("change", "account", account.account_id, "10000001")
    assert (before, after) == ('{"account_name": "Old"}', '{"account_name": "新"}')
    assert (reason, bool(origin)) == ("typo", True)


def test_the_filters_of_the_list_are_those_of_the_file(boss):
    account = make_account()
    rename(account, "one")
    rename(account, "two")
    rename(account, "three")

    assert [row[-2] for row in rows_of(boss, "?q=two")] == ["two"]
    assert [row[-2] for row in rows_of(boss, "?entity=account")] == ["three", "two", "one"]
    assert rows_of(boss, "?entity=user&action=delete") == []


def test_nothing_in_the_file_is_a_formula(boss):
    rename(make_account(), '=HYPERLINK("http://example.com")')
    rename(make_account(), "@SUM(A1)")

    assert [row[-2][:2] for row in rows_of(boss, "?entity=account")] == ["'@", "'="]
    for cell in ("=1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1"):
        assert harmless(cell) == f"'{cell}"
    assert [harmless(cell) for cell in ("1", -1, None, "a=1")] == ["1", -1, None, "a=1"]


def test_all_entries_come_though_a_few_are_held_at_a_time(boss, monkeypatch):
    monkeypatch.setattr(page, "EXPORT_BATCH", 3)
    rename(make_account(), "many", times=10)

    with CaptureQueriesContext(connections["default"]) as captured:
        rows = rows_of(boss, "?q=many")

    assert len(rows) == AuditEntry.objects.filter(reason="many").count() == 10
    assert len(captured) <= 16


def test_whoever_sees_one_account_exports_its_entries_alone():
    mine, foreign = make_account("10000001"), make_account("20000002")
    rename(mine, "why")
    rename(foreign, "why")
    limited = signed_in(make_user("admin", accounts=[mine]))

    assert {row[5] for row in rows_of(limited)} == {"10000001"}
    assert signed_in(make_user("trader")).get(reverse(EXPORT)).status_code == 403
