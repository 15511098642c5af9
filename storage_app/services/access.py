"""Who may do what (roles, as groups) and with which accounts (row scope, as grants)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from axes.utils import reset
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest

from storage_app.contract import rules
from storage_app.contract.errors import NotFound
from storage_app.models import Account, AccountGrant, AuditAction, User
from storage_app.services import audit
from storage_app.services.actors import Actor, address, person

Visitor = User | AnonymousUser
ModelT = TypeVar("ModelT", bound=models.Model)


def require(user: Visitor | None, permission: str) -> None:
    """Raise PermissionDenied unless a person has the permission; a program (None) has all."""
    if user is not None and not user.has_perm(permission):
        raise PermissionDenied(f"{user} may not {permission}")


def require_account(user: Visitor | None, account_id: str) -> None:
    """Raise PermissionDenied for an account outside of a person's row scope."""
    allowed = None if user is None else allowed_account_ids(user)
    if allowed is not None and account_id not in allowed:
        raise PermissionDenied(f"{user} has no access to account {account_id}")


def allowed_account_ids(user: Visitor) -> frozenset[str] | None:
    """Return the account numbers that a user may see; None means all of them.

    A user without any grant sees all accounts; nobody sees any before signing in.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    granted = user.account_grants.values_list("account__account_id", flat=True)
    return frozenset(granted) or None


def visible_accounts(user: Visitor) -> models.QuerySet[Account]:
    return restrict_accounts(Account.objects.all(), user)


def restrict_accounts(queryset: models.QuerySet[ModelT], user: Visitor) -> models.QuerySet[ModelT]:
    """Keep the rows of the accounts that a user may see; works for trades in ClickHouse too.

    The model is Account itself, points to one by `account`, or carries an account number.
    """
    allowed = allowed_account_ids(user)
    if allowed is None:
        return queryset
    return queryset.filter(**{f"{_account_path(queryset.model)}__in": sorted(allowed)})


def _account_path(model: type[models.Model]) -> str:
    try:
        model._meta.get_field("account")
    except FieldDoesNotExist:
        return model._meta.get_field("account_id").name
    return "account__account_id"


def set_grants(actor: Actor, user: User, account_ids: Iterable[str], reason: str) -> None:
    """Limit a user to these accounts; none lifts the limit."""
    require(actor.user, "storage_app.change_accountgrant")
    wanted = frozenset(account_ids)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        grants = {grant.account.account_id: grant for grant in _grants_of(user)}
        for number in sorted(grants.keys() - wanted):
            audit.deleted(actor, grants[number], reason)
            grants[number].delete()
        for number in sorted(wanted - grants.keys()):
            grant = AccountGrant.objects.create(user=user, account=_account(number))
            audit.created(actor, grant, reason)


def _grants_of(user: User) -> models.QuerySet[AccountGrant]:
    return user.account_grants.select_related("account", "user")


def _account(account_id: str) -> Account:
    account = Account.objects.filter(account_id=account_id).first()
    if account is None:
        raise NotFound(rules.describe_unknown_account(account_id))
    return account


def unlock(actor: Actor, user: User, reason: str) -> int:
    """Forget failed sign-ins, so that a locked person may try again; return how many there were."""
    require(actor.user, "storage_app.change_user")
    with transaction.atomic():
        forgotten = int(reset(username=user.get_username()))
        after = {"failed_sign_ins_forgotten": forgotten}
        audit.record(actor, AuditAction.REPAIR, user, after=after, reason=reason)
    return forgotten


def record_sign_in(sender: type[Any], request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Keep the address of a sign-in with the user and in the audit trail.

    Receives django's user_logged_in, which comes after axes has let the person in.
    """
    user.last_login_ip = address(request)
    with transaction.atomic():
        user.save(update_fields=["last_login_ip"])
        after = {"last_login_ip": user.last_login_ip}
        audit.record(person(user, user.last_login_ip or ""), AuditAction.LOGIN, user, after=after)
