"""Accounts: opening, renaming, retiring. Capital and bindings have modules of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.types import AccountStatus, Money
from storage_app.models import Account, AuditAction
from storage_app.services import access, audit
from storage_app.services.actors import Actor
from storage_app.services.signals import announce

logger = logging.getLogger(__name__)

BOOK = "accounts"


def create(
    actor: Actor,
    account_id: str,
    account_name: str,
    broker: str,
    initial_capital: Money,
    environment: str = "live",
    *,
    is_demo: bool = False,
    reason: str = "",
) -> Account:
    """Open an account; Conflict when its number is taken, be it in another case."""
    access.require(actor.user, "storage_app.add_account")
    new = rules.new_account(account_id, account_name, broker, initial_capital, environment)
    access.require_account(actor.user, new.account_id)
    with transaction.atomic():
        account = _insert(new, is_demo=is_demo)
        audit.created(actor, account, reason)
        announce(BOOK, account.account_id)
    return account


def _insert(new: rules.NewAccount, *, is_demo: bool) -> Account:
    try:
        with transaction.atomic():
            return Account.objects.create(
                account_id=new.account_id,
                account_name=new.account_name,
                broker=new.broker.value,
                environment=new.environment.value,
                initial_capital=new.initial_capital,
                is_demo=is_demo,
            )
    except IntegrityError as exc:
        taken = Account.objects.filter(account_id=new.account_id).first()
        if taken is None:
            raise
        raise Conflict(
            rules.describe_taken_account(taken.account_id, taken.environment, new.environment)
        ) from exc


def find(account_id: str) -> Account | None:
    return _exactly(account_id, Account.objects.filter(account_id=account_id).first())


def get(account_id: str) -> Account:
    account = find(account_id)
    if account is None:
        raise NotFound(rules.describe_unknown_account(account_id))
    return account


def lock(account_id: str) -> Account:
    """Return the account with its row locked until the transaction ends."""
    locked = Account.objects.select_for_update().filter(account_id=account_id).first()
    account = _exactly(account_id, locked)
    if account is None:
        raise NotFound(rules.describe_unknown_account(account_id))
    return account


def _exactly(account_id: str, account: Account | None) -> Account | None:
    # The column takes no notice of case, but books, files and trades do.
    return account if account and account.account_id == account_id else None


def _parse_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"is_demo must be True or False, not {value!r}")
    return value


_EDITABLE: Mapping[str, Callable[[Any], Any]] = {
    "account_name": rules.parse_account_name,
    "broker": lambda value: rules.parse_broker(value).value,
    "environment": lambda value: rules.parse_environment(value).value,
    "initial_capital": lambda value: rules.parse_capital(value, "initial capital"),
    "is_demo": _parse_flag,
}


def update(actor: Actor, account_id: str, changes: Mapping[str, Any], reason: str) -> Account:
    """Change account_name, broker, environment, initial_capital or is_demo; nothing else."""
    access.require(actor.user, "storage_app.change_account")
    access.require_account(actor.user, account_id)
    unknown = sorted(changes.keys() - _EDITABLE.keys())
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} of an account cannot be edited")
    parsed = {name: _EDITABLE[name](value) for name, value in changes.items()}
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        account = lock(account_id)
        with audit.changing(actor, account, reason):
            for name, value in parsed.items():
                setattr(account, name, value)
            account.save()
        announce(BOOK, account_id)
    return account


def set_status(actor: Actor, account_id: str, status: str, reason: str) -> Account:
    """Retire, suspend or resume an account; jobs may suspend only."""
    access.require(actor.user, "storage_app.change_account")
    access.require_account(actor.user, account_id)
    after = rules.parse_account_status(status)
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        account = lock(account_id)
        rules.check_account_move(
            AccountStatus(account.status), after, by_hand=not actor.is_automatic
        )
        with audit.changing(actor, account, reason, AuditAction.STATUS):
            account.status = after.value
            account.save(update_fields=["status", "updated_at"])
        announce(BOOK, account_id)
    logger.info("Account %s is %s by %s: %s", account_id, after, actor.name, reason)
    return account
