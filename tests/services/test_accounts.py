from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.models import Account, AuditEntry
from storage_app.services import accounts
from storage_app.services.actors import command, job, person, trader
from tests.factories import make_account, make_user

pytestmark = pytest.mark.django_db


def last_entry():
    return AuditEntry.objects.latest("id")


def test_opening_an_account_tells_who_did_it_from_where_and_what_it_was():
    admin = make_user("admin", username="li")
    accounts.create(
        person(admin, "10.0.0.7"), "55009728", "Main", "QMT", "1000000", reason="new mandate"
    )
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.origin, entry.reason) == ("li", "10.0.0.7", "new mandate")
    assert (entry.action, entry.entity, entry.entity_key) == ("create", "account", "55009728")
    assert entry.account_id == "55009728"
    assert entry.before is None
    assert entry.after["initial_capital"] == "1000000.00"
    assert entry.after["total_assets"] is None


def test_refused_account_leaves_neither_row_nor_entry():
    make_account("55009728")
    with pytest.raises(Conflict):
        accounts.create(trader(), "55009728", "Main", "QMT", 1)
    with pytest.raises(InvalidInput):
        accounts.create(trader(), "55009729", "Main", "XXX", 1)
    assert Account.objects.count() == 1
    assert not AuditEntry.objects.exists()


def test_rolled_back_account_takes_its_entry_along():
    with transaction.atomic():
        accounts.create(trader(), "55009728", "Main", "QMT", 1)
        transaction.set_rollback(True)
    assert not Account.objects.exists()
    assert not AuditEntry.objects.exists()


def test_edit_keeps_only_what_differs_in_the_entry():
    make_account("55009728", account_name="Main")
    accounts.update(
        trader(),
        "55009728",
        {"account_name": "主账户", "broker": "GM", "environment": "live", "is_demo": False},
        "moved to another broker",
    )
    entry = AuditEntry.objects.get()
    assert entry.before == {"account_name": "Main", "broker": "QMT"}
    assert entry.after == {"account_name": "主账户", "broker": "GM"}
    assert accounts.get("55009728").broker == "GM"


def test_edit_that_changes_nothing_leaves_no_entry():
    make_account("55009728", account_name="Main")
    accounts.update(trader(), "55009728", {"account_name": " Main "}, "typing")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": "other-1"},
        {"status": "inactive"},
        {"total_assets": 5},
        {"broker": "XXX"},
        {"initial_capital": 0},
        {"account_name": ""},
        {"is_demo": "yes"},
        {"environment": "moon"},
    ],
)
def test_edit_of_what_is_not_editable_or_not_valid_is_refused(changes):
    make_account("55009728")
    with pytest.raises(InvalidInput):
        accounts.update(trader(), "55009728", changes, "try")
    assert not AuditEntry.objects.exists()


def test_edit_needs_a_reason_and_an_account():
    make_account("55009728")
    with pytest.raises(InvalidInput, match="reason"):
        accounts.update(trader(), "55009728", {"account_name": "X"}, " ")
    with pytest.raises(NotFound):
        accounts.update(trader(), "55009729", {"account_name": "X"}, "why not")


def test_status_is_changed_with_its_reason():
    make_account("55009728")
    accounts.set_status(command("close_accounts"), "55009728", "inactive", "closed at the broker")
    entry = last_entry()
    assert (entry.action, entry.reason) == ("status", "closed at the broker")
    assert (entry.before, entry.after) == ({"status": "active"}, {"status": "inactive"})
    assert entry.origin == "close_accounts"


def test_job_may_suspend_and_decides_nothing_else():
    make_account("55009728")
    nightly = job("verify")
    with pytest.raises(InvalidInput, match="scheduled job"):
        accounts.set_status(nightly, "55009728", "inactive", "looks unused")
    accounts.set_status(nightly, "55009728", "suspended", "stores differ")
    with pytest.raises(InvalidInput, match="scheduled job"):
        accounts.set_status(nightly, "55009728", "active", "fine again")
    accounts.set_status(trader(), "55009728", "active", "checked by hand")
    assert [entry.actor for entry in AuditEntry.objects.all()][-1] == "system"


def test_initial_capital_may_be_corrected():
    make_account("55009728", initial_capital=Decimal(5))
    accounts.update(trader(), "55009728", {"initial_capital": "7.505"}, "typo")
    assert last_entry().before == {"initial_capital": "5.00"}
    assert accounts.get("55009728").initial_capital == Decimal("7.51")
