from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from storage_app.models import (
    Account,
    AccountGrant,
    AccountStrategy,
    AuditAction,
    AuditEntry,
    ParamDecision,
    ParamVersion,
    RolePolicy,
    Strategy,
    TradeConflict,
    User,
)
from storage_app.models.audited import UnauditedChangeError
from storage_app.services import accounts, audit, bindings, capital, strategies
from storage_app.services.actors import trader
from storage_app.services.signals import book_changed
from tests.factories import make_account, make_binding, make_strategy, make_user

AUDITED = (
    Account,
    AccountGrant,
    AccountStrategy,
    AuditEntry,
    ParamDecision,
    ParamVersion,
    RolePolicy,
    Strategy,
    TradeConflict,
    User,
)
# Every write of the services that a person or a program may start.
WRITES = {
    "create": (lambda: accounts.create(trader(), "account-9", "New", "QMT", 1), "account-9"),
    "update": (
        lambda: accounts.update(trader(), "55009728", {"broker": "GM"}, "why"),
        "55009728",
    ),
    "status": (
        lambda: accounts.set_status(trader(), "55009728", "suspended", "why"),
        "55009728",
    ),
    "bind": (lambda: bindings.bind(trader(), "55009728", "Beta", 1), "55009728"),
    "change": (
        lambda: bindings.change(trader(), "55009728", "Alpha", "why", risk_limit=1),
        "55009728",
    ),
    "pause": (lambda: bindings.pause(trader(), "55009728", "Alpha", "why"), "55009728"),
    "unbind": (lambda: bindings.unbind(trader(), "55009728", "Alpha", "why"), "55009728"),
    "new strategy": (
        lambda: strategies.create(trader(), "Gamma", "gamma", "other", "1.0.0"),
        "Gamma",
    ),
    "edit strategy": (
        lambda: strategies.update(trader(), "Alpha", {"version": "2.0.0"}, "why"),
        "Alpha",
    ),
    "retire": (lambda: strategies.set_status(trader(), "Alpha", "inactive", "why"), "Alpha"),
    "save": (lambda: strategies.save_params(trader(), "Alpha", {"n": 2}), "Alpha"),
    "roll back": (lambda: strategies.activate(trader(), "Beta", 1), "Beta"),
}


@pytest.fixture
def rows(db):
    account = make_account("55009728")
    make_binding(account, make_strategy("Alpha", {"n": 1}))
    beta = make_strategy("Beta", {"n": 1})
    beta.active_version = None
    beta.save()


@pytest.fixture
def heard():
    """The books and keys that `book_changed` told of."""
    told = []

    def listen(sender, book, key, **kwargs):
        told.append((book, key))

    book_changed.connect(listen)
    yield told
    book_changed.disconnect(listen)


@pytest.mark.parametrize("name", WRITES)
def test_every_write_leaves_one_entry_and_is_announced_after_the_commit(
    rows, heard, name, django_capture_on_commit_callbacks
):
    write, key = WRITES[name]
    with django_capture_on_commit_callbacks(execute=True):
        write()
        assert heard == []
    entry = AuditEntry.objects.get()
    assert entry.actor.startswith("trader@")
    assert entry.origin
    assert entry.before or entry.after
    assert [told[1] for told in heard] == [key]


def test_capital_is_announced_without_an_entry(rows, heard, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        capital.update_capital(trader(), "55009728", 1, 1, 0)
    assert heard == [("accounts", "55009728")]
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_rolled_back_write_is_not_announced_and_a_deaf_listener_undoes_nothing(heard, caplog):
    with transaction.atomic():
        accounts.create(trader(), "account-1", "New", "QMT", 1)
        transaction.set_rollback(True)
    assert heard == []

    def fail(**kwargs):
        raise OSError("the mirror's disk is full")

    book_changed.connect(fail)
    try:
        with caplog.at_level(logging.ERROR):
            accounts.create(trader(), "account-1", "New", "QMT", 1)
    finally:
        book_changed.disconnect(fail)
    assert accounts.find("account-1") is not None
    assert heard == [("accounts", "account-1")]
    assert "disk is full" in caplog.text


@pytest.mark.parametrize("model", AUDITED)
def test_audited_rows_refuse_every_change_in_bulk(rows, model):
    rows = model.objects.all()
    for change in (
        lambda: rows.update(pk=1),
        rows.delete,
        lambda: model.objects.bulk_create([]),
        lambda: model.objects.bulk_update([], ["pk"]),
    ):
        with pytest.raises(UnauditedChangeError, match="audit entry"):
            change()


def test_what_is_kept_for_ever_cannot_be_deleted_and_what_is_written_once_not_saved_again(rows):
    user = make_user()
    accounts.set_status(trader(), "55009728", "suspended", "why")
    entry, version = AuditEntry.objects.get(), ParamVersion.objects.first()
    for row in (Account.objects.get(), Strategy.objects.first(), version, entry, user):
        with pytest.raises(UnauditedChangeError):
            row.delete()
    entry.actor = "somebody else"
    version.params = {}
    for row in (entry, version):
        with pytest.raises(UnauditedChangeError, match="written once"):
            row.save()
    assert AuditEntry.objects.get().actor.startswith("trader@")


@pytest.mark.django_db(transaction=True)
def test_entry_outside_of_the_transaction_of_its_change_is_refused():
    account = make_account("55009728")
    with pytest.raises(transaction.TransactionManagementError):
        audit.created(trader(), account)
    assert not AuditEntry.objects.exists()


def test_form_that_changed_the_row_already_still_shows_what_it_was(rows):
    account = Account.objects.get()
    account.account_name = "changed by the form"
    with audit.changing(trader(), account, "form"):
        account.save()
    assert AuditEntry.objects.get().before == {"account_name": "Account 55009728"}


def test_password_is_never_written_down_and_roles_are(db):
    user = make_user("trader", username="zhao")
    with audit.changing(trader(), user):
        user.set_password("a new one")
        user.real_name = "赵"
        user.save()
        user.groups.add(Group.objects.get(name="viewer"))
    entry = AuditEntry.objects.get()
    assert entry.before == {"groups": ["trader"], "real_name": ""}
    assert entry.after == {"groups": ["trader", "viewer"], "real_name": "赵"}
    assert "argon2" not in f"{audit.values_of(user)}"


def test_rows_of_other_packages_can_be_audited(db):
    group = Group.objects.create(name="desk")
    with transaction.atomic(), audit.changing(trader(), group, "new role"):
        group.permissions.add(Permission.objects.get(codename="view_account"))
    entry = AuditEntry.objects.get()
    assert (entry.entity, entry.entity_key, entry.account_id) == ("group", "desk", "")
    assert len(entry.after["permissions"]) == 1


def test_block_may_still_name_the_action(rows):
    account = Account.objects.get()
    with audit.changing(trader(), account) as change:
        account.initial_capital = Decimal(7)
        account.save()
        change.action, change.reason = AuditAction.REPAIR, "found by verify"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == ("repair", "found by verify")


def test_failing_block_leaves_neither_change_nor_entry(rows):
    account = Account.objects.get()

    def fail():
        with audit.changing(trader(), account):
            account.account_name = "half done"
            account.save()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert Account.objects.get().account_name == "Account 55009728"
    assert not AuditEntry.objects.exists()
