"""Who may do what (roles, as groups) and with which accounts (row scope, as grants)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from axes.utils import reset
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest

from storage_app.contract import rules
from storage_app.contract.errors import InvalidInput, NotFound
from storage_app.models import Account, AccountGrant, AuditAction, RolePolicy, User
from storage_app.services import audit, sessions
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
    return _granted_ids(user) or None


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


def may_manage(user: User, other: User) -> bool:
    """Tell whether a person who may change users may change this one.

    Whoever sets the password of somebody could sign in as them, so nobody manages a person who
    may do or see more: superusers are for superusers, and who is limited to accounts manages
    those limited to some of the same.
    """
    if user.is_superuser or user.pk == other.pk:
        return user.is_superuser or not other.is_superuser
    allowed, theirs = allowed_account_ids(user), _granted_ids(other)
    return not other.is_superuser and (allowed is None or (bool(theirs) and theirs <= allowed))


def require_managing(user: Visitor | None, other: User) -> None:
    require(user, "storage_app.change_user")
    if isinstance(user, User) and not may_manage(user, other):
        raise PermissionDenied(f"{user} may not manage {other}, who may do or see more")


def set_grants(actor: Actor, user: User, account_ids: Iterable[str], reason: str) -> None:
    """Limit a user to these accounts; none lifts the limit.

    An actor who is limited gives and takes their own accounts only and lifts no limit.
    """
    require(actor.user, "storage_app.change_accountgrant")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        grants = {grant.account.account_id: grant for grant in _grants_of(user)}
        wanted = _within_scope(actor, user, frozenset(grants), frozenset(account_ids))
        _write_grants(actor, user, grants, wanted, reason)


def limit_alike(actor: Actor, user: User) -> None:
    """Limit a user just made to the accounts of whoever made them, if those are limited."""
    allowed = None if actor.user is None else allowed_account_ids(actor.user)
    if allowed is not None:
        with transaction.atomic():
            _write_grants(actor, user, {}, allowed, "")


def _within_scope(
    actor: Actor, user: User, current: frozenset[str], wanted: frozenset[str]
) -> frozenset[str]:
    allowed = None if actor.user is None else allowed_account_ids(actor.user)
    if allowed is None:
        return wanted
    if user == actor.user or not current:
        raise PermissionDenied(f"{actor.name} is limited to accounts and may not limit {user}")
    if wanted - allowed:
        raise PermissionDenied(f"{actor.name} has no access to {', '.join(wanted - allowed)}")
    kept = wanted | (current - allowed)
    if not kept:
        raise InvalidInput(f"{user} must keep an account, or they would see all of them")
    return kept


def _write_grants(
    actor: Actor,
    user: User,
    grants: Mapping[str, AccountGrant],
    wanted: frozenset[str],
    reason: str,
) -> None:
    for number in sorted(grants.keys() - wanted):
        audit.deleted(actor, grants[number], reason)
        grants[number].delete()
    for number in sorted(wanted - grants.keys()):
        grant = AccountGrant.objects.create(user=user, account=_account(number))
        audit.created(actor, grant, reason)


def _granted_ids(user: User) -> frozenset[str]:
    # Never by way of the user, whose rows a page may have fetched for its reader's eyes only.
    grants = AccountGrant.objects.filter(user=user)
    return frozenset(grants.values_list("account__account_id", flat=True))


def _grants_of(user: User) -> models.QuerySet[AccountGrant]:
    return AccountGrant.objects.filter(user=user).select_related("account", "user")


def _account(account_id: str) -> Account:
    account = Account.objects.filter(account_id=account_id).first()
    if account is None:
        raise NotFound(rules.describe_unknown_account(account_id))
    return account


def requires_second_factor(role: Group) -> bool:
    return RolePolicy.objects.filter(role=role, requires_second_factor=True).exists()


def require_second_factor(actor: Actor, role: Group, required: bool, reason: str = "") -> None:
    """Ask the members of a role for a second factor from now on, or no longer."""
    require(actor.user, "auth.change_group")
    with transaction.atomic():
        policy = RolePolicy.objects.select_for_update().filter(role=role).first()
        if policy is None:
            if required:
                policy = RolePolicy.objects.create(role=role, requires_second_factor=True)
                audit.created(actor, policy, reason)
            return
        with audit.changing(actor, policy, reason):
            policy.requires_second_factor = required
            policy.save()


def record_password(actor: Actor, user: User) -> None:
    """Write down that a password was set, never which; belongs into that transaction."""
    audit.record(actor, AuditAction.CHANGE, user, after={"password": "set"})


def unlock(actor: Actor, user: User, reason: str) -> int:
    """Forget failed sign-ins, so that a locked person may try again; return how many there were."""
    require_managing(actor.user, user)
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
    sessions.remember(request)
    with transaction.atomic():
        user.save(update_fields=["last_login_ip"])
        after = {"last_login_ip": user.last_login_ip}
        audit.record(person(user, user.last_login_ip or ""), AuditAction.LOGIN, user, after=after)
