from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import AnonymousUser, Group
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied

from storage_app.contract.errors import NotFound
from storage_app.models import (
    Account,
    AccountGrant,
    AccountSnapshot,
    AccountStrategy,
    AuditEntry,
)
from storage_app.services import access, accounts, bindings, capital, strategies
from storage_app.services.actors import of_request, person, trader
from tests.factories import (
    PASSWORD,
    make_account,
    make_binding,
    make_snapshot,
    make_strategy,
    make_superuser,
    make_user,
    restore_roles,
)

pytestmark = pytest.mark.django_db

ROLES = ("admin", "developer", "trader", "viewer")
# What each call does, and the roles that may.
CALLS = {
    "open account": (
        lambda actor: accounts.create(actor, "account-9", "New", "QMT", 1),
        {"admin"},
    ),
    "edit account": (
        lambda actor: accounts.update(actor, "55009728", {"account_name": "X"}, "why"),
        {"admin"},
    ),
    "suspend account": (
        lambda actor: accounts.set_status(actor, "55009728", "suspended", "why"),
        {"admin"},
    ),
    "report capital": (
        lambda actor: capital.update_capital(actor, "55009728", 1, 1, 0),
        {"admin", "trader"},
    ),
    "import capital": (
        lambda actor: capital.import_snapshots(actor, "55009728", []),
        {"admin"},
    ),
    "bind": (lambda actor: bindings.bind(actor, "55009728", "Beta", 1), {"admin"}),
    "pause": (lambda actor: bindings.pause(actor, "55009728", "Alpha", "why"), {"admin"}),
    "unbind": (lambda actor: bindings.unbind(actor, "55009728", "Alpha", "why"), {"admin"}),
    "create strategy": (
        lambda actor: strategies.create(actor, "Gamma", "gamma", "other", "1.0.0"),
        {"admin", "developer"},
    ),
    "edit strategy": (
        lambda actor: strategies.update(actor, "Alpha", {"description": "X"}, "why"),
        {"admin", "developer"},
    ),
    "retire strategy": (
        lambda actor: strategies.set_status(actor, "Alpha", "inactive", "why"),
        {"admin", "developer"},
    ),
    "save parameters": (
        lambda actor: strategies.save_params(actor, "Alpha", {"n": 2}),
        {"admin", "developer"},
    ),
    "roll back": (
        lambda actor: strategies.activate(actor, "Alpha", 1),
        {"admin", "developer"},
    ),
}


@pytest.fixture
def bound():
    binding = make_binding(make_account("55009728"), make_strategy("Alpha", {"n": 1}))
    make_strategy("Beta")
    return binding


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CALLS)
def test_services_ask_for_the_permission_of_the_role(bound, role, name):
    call, allowed = CALLS[name]
    actor = person(make_user(role))
    expected = nullcontext() if role in allowed else pytest.raises(PermissionDenied)
    with expected:
        call(actor)


@pytest.mark.parametrize("name", [name for name in CALLS if "strategy" not in name])
def test_services_stay_within_the_accounts_of_the_user(bound, name):
    if name in ("save parameters", "roll back"):
        name = "edit account"
    mine = make_account("account-1")
    with pytest.raises(PermissionDenied):
        CALLS[name][0](person(make_user("admin", [mine])))


@pytest.mark.parametrize("name", CALLS)
def test_programs_and_superusers_may_do_all_of_it(bound, name):
    CALLS[name][0](person(make_superuser()))


def test_every_role_sees_accounts_and_strategies_and_only_admins_see_users():
    restore_roles()
    for role in ROLES:
        user = make_user(role)
        assert user.has_perm("storage_app.view_account")
        assert user.has_perm("storage_app.view_strategy")
        assert user.has_perm("storage_app.view_user") == (role == "admin")
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


def test_user_without_grants_sees_all_and_one_with_grants_only_those():
    first, second = make_account("account-1"), make_account("account-2")
    everyone, limited = make_user("viewer"), make_user("viewer", [second])
    assert access.allowed_account_ids(everyone) is None
    assert access.allowed_account_ids(limited) == {"account-2"}
    assert set(access.visible_accounts(everyone)) == {first, second}
    assert set(access.visible_accounts(limited)) == {second}
    access.require_account(limited, "account-2")
    with pytest.raises(PermissionDenied):
        access.require_account(limited, "account-1")


def test_who_is_not_signed_in_or_not_active_sees_nothing():
    make_account("account-1")
    gone = make_user("admin", is_active=False)
    for visitor in (AnonymousUser(), gone):
        assert access.allowed_account_ids(visitor) == frozenset()
        assert not access.visible_accounts(visitor).exists()
        with pytest.raises(PermissionDenied):
            access.require(visitor, "storage_app.view_account")


def test_scope_holds_for_everything_that_hangs_on_an_account(bound):
    mine = make_account("account-2")
    for account in (bound.account, mine):
        make_snapshot(account)
        accounts.set_status(trader(), account.account_id, "suspended", "test")
    make_binding(mine, bound.strategy)
    user = make_user("admin", [mine])
    for model in (AccountSnapshot, AccountStrategy, AccountGrant):
        rows = access.restrict_accounts(model.objects.all(), user)
        assert {row.account for row in rows} == {mine}
    entries = access.restrict_accounts(AuditEntry.objects.all(), user)
    assert {entry.account_id for entry in entries} == {"account-2"}
    assert access.restrict_accounts(Account.objects.all(), make_user()).count() == 2


@pytest.mark.django_db(databases=["default", "clickhouse"])
def test_scope_holds_for_trades_in_clickhouse(clickhouse):
    from trades_app.models import Trade

    with clickhouse.cursor() as cursor:
        for number in ("account-1", "account-2"):
            cursor.execute(
                "INSERT INTO trade (trade_uid, account_id, trade_date, code) "
                f"VALUES (generateUUIDv4(), '{number}', '2026-03-02', '600000.SH')"
            )
    user = make_user("trader", [make_account("account-2")])
    rows = access.restrict_accounts(Trade.objects.all(), user)
    assert [row.account_id for row in rows] == ["account-2"]


def test_grants_become_exactly_what_was_asked_with_an_entry_for_each_change():
    for number in ("account-1", "account-2", "account-3"):
        make_account(number)
    user, admin = make_user("trader"), person(make_user("admin"))
    access.set_grants(admin, user, ["account-1", "account-2"], "new on the desk")
    access.set_grants(admin, user, ["account-2", "account-3"], "moved")
    access.set_grants(admin, user, ["account-2", "account-3"], "again")
    assert access.allowed_account_ids(user) == {"account-2", "account-3"}
    entries = AuditEntry.objects.order_by("id").values_list("action", "account_id", "reason")
    assert list(entries) == [
        ("create", "account-1", "new on the desk"),
        ("create", "account-2", "new on the desk"),
        ("delete", "account-1", "moved"),
        ("create", "account-3", "moved"),
    ]
    with pytest.raises(NotFound):
        access.set_grants(admin, user, ["account-4"], "typo")
    assert access.allowed_account_ids(user) == {"account-2", "account-3"}
    with pytest.raises(PermissionDenied):
        access.set_grants(person(user), user, [], "let me see")


def test_sign_in_keeps_the_address_of_the_peer_and_ignores_what_a_header_claims(rf):
    user = make_user("viewer", username="zhao")
    request = rf.post("/", REMOTE_ADDR="10.1.2.3", HTTP_X_FORWARDED_FOR="1.1.1.1")
    request.session = SessionStore()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    user.refresh_from_db()
    assert user.last_login_ip == "10.1.2.3"
    assert user.last_login is not None
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.origin) == ("login", "zhao", "10.1.2.3")


def test_actor_of_a_request_is_the_person_with_the_address(rf):
    request = rf.get("/", REMOTE_ADDR="10.1.2.3")
    request.user = user = make_user("viewer", username="zhao")
    actor = of_request(request)
    assert (actor.name, actor.user, actor.origin) == ("zhao", user, "10.1.2.3")
    request.user = AnonymousUser()
    with pytest.raises(TypeError):
        of_request(request)


def test_five_failures_lock_the_person_and_an_administrator_unlocks(rf):
    user = make_user("viewer", username="zhao")

    def sign_in(password, address):
        request = rf.post("/", REMOTE_ADDR=address)
        return authenticate(request, username="zhao", password=password)

    assert sign_in(PASSWORD, "10.0.0.1") == user
    for attempt in range(5):
        assert sign_in("wrong", f"10.0.0.{attempt}") is None
    assert sign_in(PASSWORD, "10.0.0.9") is None
    with pytest.raises(PermissionDenied):
        access.unlock(person(user), user, "it is me")
    assert access.unlock(person(make_user("admin")), user, "called by phone") >= 5
    assert sign_in(PASSWORD, "10.0.0.9") == user
    assert AuditEntry.objects.get().reason == "called by phone"
