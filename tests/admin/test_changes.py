"""Changes: on POST only, through services, with a reason, and refused in words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from storage_app.models import (
    Account,
    AccountStrategy,
    AuditEntry,
    Report,
    Strategy,
    User,
)
from tests.admin.conftest import signed_in
from tests.factories import make_account, make_strategy, make_superuser, make_user, unique
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("store"),
]


def url(name, *args):
    return reverse(f"admin:storage_app_{name}", args=args)


def last_entry():
    return AuditEntry.objects.first()


def test_an_account_is_opened_through_the_form_and_audited(boss):
    answer = boss.post(
        url("account_add"),
        {
            "account_id": "88010001",
            "account_name": "实盘一号",
            "broker": "QMT",
            "environment": "live",
            "initial_capital": "500000",
            "reason": "new broker",
        },
    )

    account = Account.objects.get(account_id="88010001")
    assert answer.status_code == 302
    assert account.initial_capital == Decimal(500000)
    assert (last_entry().action, last_entry().actor, last_entry().reason) == (
        "create", "boss", "new broker",
    )  # fmt: skip


def test_a_taken_account_number_is_refused_in_the_form(boss):
    make_account("88010001")
    page = boss.post(url("account_add"), {"account_id": "88010001", "broker": "QMT"})

    assert page.status_code == 200
    assert "account_id" in page.context["adminform"].form.errors
    assert Account.objects.count() == 1


def test_an_account_is_renamed_with_a_reason_only(boss):
    account = make_account(account_name="Old")
    fields = {
        "account_name": "New", "broker": "QMT", "environment": "live", "initial_capital": "1000000",
    }  # fmt: skip

    boss.post(url("account_change", account.pk), fields)
    account.refresh_from_db()
    assert account.account_name == "Old"

    boss.post(url("account_change", account.pk), fields | {"reason": "typo"})
    account.refresh_from_db()
    assert account.account_name == "New"
    assert last_entry().before == {"account_name": "Old"}


def test_looking_at_a_question_changes_nothing(boss):
    account = make_account()

    page = boss.get(url("account_suspend", account.pk))
    account.refresh_from_db()

    assert page.status_code == 200
    assert account.status == "active"


def test_an_account_is_suspended_with_a_reason(boss):
    account = make_account()

    boss.post(url("account_suspend", account.pk), {"reason": ""})
    account.refresh_from_db()
    assert account.status == "active"

    boss.post(url("account_suspend", account.pk), {"reason": "broker closed"})
    account.refresh_from_db()
    assert account.status == "suspended"
    assert last_entry().reason == "broker closed"


def test_a_move_that_the_rules_forbid_is_explained(boss):
    account = make_account(status="inactive")

    page = boss.post(url("account_suspend", account.pk), {"reason": "why not"})

    assert page.status_code == 200
    assert "cannot go from" in page.content.decode()


def test_a_change_without_the_token_of_the_form_is_refused():
    client = signed_in(make_superuser(), enforce_csrf_checks=True)
    account = make_account()

    answer = client.post(url("account_suspend", account.pk), {"reason": "forged"})
    account.refresh_from_db()

    assert answer.status_code == 403
    assert account.status == "active"


def test_accounts_strategies_and_users_cannot_be_deleted(boss):
    account, strategy, user = make_account(), make_strategy(), make_user("viewer")
    for name, row in (("account", account), ("strategy", strategy), ("user", user)):
        assert boss.post(url(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
    assert Account.objects.filter(pk=account.pk).exists()


def test_a_strategy_is_bound_and_unbound(boss):
    account, strategy = make_account(), make_strategy()
    boss.post(
        url("accountstrategy_add"),
        {
            "account": account.pk,
            "strategy": strategy.pk,
            "allocated_capital": "250000",
            "risk_limit": "30",
            "reason": "start",
        },
    )
    binding = AccountStrategy.objects.get()
    assert binding.allocated_capital == Decimal(250000)

    boss.post(url("accountstrategy_unbind", binding.pk), {"reason": "stop"})
    assert not AccountStrategy.objects.exists()


def test_more_capital_than_the_account_has_is_refused_in_words(boss):
    account, strategy = make_account(), make_strategy()

    page = boss.post(
        url("accountstrategy_add"),
        {
            "account": account.pk,
            "strategy": strategy.pk,
            "allocated_capital": "9999999",
            "risk_limit": "30",
            "reason": "too much",
        },
        follow=True,
    )

    assert not AccountStrategy.objects.exists()
    assert [str(message) for message in page.context["messages"]]


def test_a_user_is_made_with_a_role_and_limited_to_accounts(boss):
    account = make_account("10000001")
    name = unique("new")
    from django.contrib.auth.models import Group

    make_user("trader")
    role = Group.objects.get(name="trader")
    password = "a long enough secret"
    boss.post(
        url("user_add"),
        {
            "username": name, "real_name": "王五", "is_staff": "on", "groups": [role.pk],
            "password1": password, "password2": password, "usable_password": "true",
        },
    )  # fmt: skip
    user = User.objects.get(username=name)
    boss.post(
        url("user_change", user.pk),
        {
            "username": name, "real_name": "王五", "is_active": "on", "is_staff": "on",
            "groups": [role.pk], "granted_accounts": [account.pk],
        },
    )  # fmt: skip

    assert [group.name for group in user.groups.all()] == ["trader"]
    assert [grant.account.account_id for grant in user.account_grants.all()] == ["10000001"]
    entities = set(AuditEntry.objects.values_list("entity", "action"))
    assert {("user", "create"), ("accountgrant", "create")} <= entities


def test_a_locked_user_is_unlocked_by_an_administrator(boss, client):
    user = make_user("viewer", username="locked")
    login = reverse("admin:login")
    for _attempt in range(5):
        client.post(login, {"username": "locked", "password": "wrong"})
    right = {"username": "locked", "password": "correct horse"}
    refused = client.post(login, right)

    boss.post(url("user_unlock", user.pk), {"reason": "called us"})
    accepted = client.post(login, right)

    assert refused.status_code == 429
    assert accepted.status_code == 302


def test_a_login_leaves_address_and_time(client):
    user = make_user("viewer", username="someone")

    client.post(
        reverse("admin:login"),
        {"username": "someone", "password": "correct horse"},
        REMOTE_ADDR="192.0.2.7",
    )
    user.refresh_from_db()

    assert user.last_login_ip == "192.0.2.7"
    assert user.last_login is not None


def test_saving_a_strategy_leaves_its_name_and_code_alone(boss):
    strategy = make_strategy("Breakout")

    boss.post(
        url("strategy_change", strategy.pk),
        {
            "strategy_name": "Renamed", "strategy_type": "remote", "version": "1.0.1",
            "description": "", "reason": "new source",
        },
    )  # fmt: skip

    saved = Strategy.objects.get(pk=strategy.pk)
    assert (saved.strategy_name, saved.strategy_type, saved.version) == (
        "Breakout", "remote", "1.0.1",
    )  # fmt: skip


def test_the_audit_trail_says_what_changed_in_words(boss):
    account = make_account(account_name="Old")
    boss.post(url("account_suspend", account.pk), {"reason": "broker closed"})
    entry = last_entry()

    listed = boss.get(url("auditentry_changelist") + "?q=broker+closed")
    page = boss.get(url("auditentry_change", entry.pk))
    written = boss.post(url("auditentry_change", entry.pk), {"reason": "other"})

    assert [row.pk for row in listed.context["cl"].result_list] == [entry.pk]
    assert page.context["rows"] == [("Status", "active", "suspended", "changed")]
    assert written.status_code == 403
    assert boss.get(url("auditentry_add")).status_code == 403


def test_the_history_of_an_account_is_its_audit_trail(boss):
    account = make_account("10000001")

    answer = boss.get(url("account_history", account.pk))

    assert answer.url == url("auditentry_changelist") + "?entity=account&q=10000001"


def test_a_report_shows_its_findings(boss):
    report = Report.objects.create(
        kind="verify",
        started_at=clock.now(),
        finished_at=clock.now(),
        actor="system",
        summary={"checked": 12},
        findings=[{"code": "600000.SH", "redis": 5, "files": 4}],
    )

    page = boss.get(url("report_change", report.pk))

    assert page.context["columns"] == ["code", "files", "redis"]
    (row,) = page.context["rows"]
    assert [cell.lines[1] for cell in row] == ["600000.SH", "4", "5"]


def test_what_users_write_is_shown_as_text(boss):
    account = make_account(account_name="<script>alert(1)</script>")

    for page in (
        boss.get(url("account_changelist")),
        boss.get(url("account_change", account.pk)),
        boss.get(reverse("admin:index")),
    ):
        assert "<script>alert(1)" not in page.content.decode()
