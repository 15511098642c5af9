"""Strategies at work in accounts, each with its share of the capital."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Sum

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, NotFound
from storage_app.contract.rules import BindingStatus
from storage_app.contract.types import Money
from storage_app.models import Account, AccountStrategy, Strategy
from storage_app.services import access, accounts, audit, strategies
from storage_app.services.actors import Actor
from storage_app.services.signals import announce


def bind(
    actor: Actor,
    account_id: str,
    strategy_name: str,
    allocated_capital: Money,
    risk_limit: Money = 100,
    reason: str = "",
) -> AccountStrategy:
    """Give a strategy a share of an account; all shares together never exceed what it has."""
    access.require(actor.user, "storage_app.add_accountstrategy")
    access.require_account(actor.user, account_id)
    share = rules.parse_capital(allocated_capital, "allocated capital")
    limit = rules.parse_risk_limit(risk_limit)
    with transaction.atomic():
        account = accounts.lock(account_id)
        strategy = strategies.get(strategy_name)
        rules.check_bindable(account_id, account.status, strategy_name, strategy.status)
        check_allocation(account, share)
        binding = _insert(account, strategy, share, limit)
        audit.created(actor, binding, reason)
        announce(accounts.BOOK, account_id)
    return binding


def _insert(
    account: Account, strategy: Strategy, share: Decimal, limit: Decimal
) -> AccountStrategy:
    try:
        with transaction.atomic():
            return AccountStrategy.objects.create(
                account=account, strategy=strategy, allocated_capital=share, risk_limit=limit
            )
    except IntegrityError as exc:
        if not AccountStrategy.objects.filter(account=account, strategy=strategy).exists():
            raise
        raise Conflict(rules.describe_bound(account.account_id, strategy.strategy_name)) from exc


def check_allocation(
    account: Account, wanted: Decimal, besides: AccountStrategy | None = None
) -> None:
    """Refuse a share that the account does not have; its row must be locked."""
    others = account.bindings.exclude(pk=besides.pk) if besides else account.bindings.all()
    allocated = others.aggregate(total=Sum("allocated_capital"))["total"] or Decimal(0)
    has = account.initial_capital if account.total_assets is None else account.total_assets
    rules.check_allocation(account.account_id, wanted, allocated, has)


def change(
    actor: Actor,
    account_id: str,
    strategy_name: str,
    reason: str,
    *,
    allocated_capital: Money | None = None,
    risk_limit: Money | None = None,
) -> AccountStrategy:
    """Change the share or the risk limit; what is None stays."""
    with _changing(actor, account_id, strategy_name, reason) as binding:
        if allocated_capital is not None:
            share = rules.parse_capital(allocated_capital, "allocated capital")
            check_allocation(binding.account, share, besides=binding)
            binding.allocated_capital = share
        if risk_limit is not None:
            binding.risk_limit = rules.parse_risk_limit(risk_limit)
    return binding


def set_status(
    actor: Actor, account_id: str, strategy_name: str, status: str, reason: str
) -> AccountStrategy:
    """Pause or resume a strategy in an account; a paused one keeps its share."""
    after = rules.parse_binding_status(status)
    with _changing(actor, account_id, strategy_name, reason) as binding:
        binding.status = after.value
    return binding


def pause(actor: Actor, account_id: str, strategy_name: str, reason: str) -> AccountStrategy:
    return set_status(actor, account_id, strategy_name, BindingStatus.PAUSED, reason)


def resume(actor: Actor, account_id: str, strategy_name: str, reason: str) -> AccountStrategy:
    return set_status(actor, account_id, strategy_name, BindingStatus.ACTIVE, reason)


def unbind(actor: Actor, account_id: str, strategy_name: str, reason: str) -> None:
    """Take a strategy out of an account; its share is free again."""
    access.require(actor.user, "storage_app.delete_accountstrategy")
    access.require_account(actor.user, account_id)
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        binding = _lock(account_id, strategy_name)
        audit.deleted(actor, binding, reason)
        binding.delete()
        announce(accounts.BOOK, account_id)


@contextmanager
def _changing(
    actor: Actor, account_id: str, strategy_name: str, reason: str
) -> Iterator[AccountStrategy]:
    access.require(actor.user, "storage_app.change_accountstrategy")
    access.require_account(actor.user, account_id)
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        binding = _lock(account_id, strategy_name)
        with audit.changing(actor, binding, reason):
            yield binding
            binding.save()
        announce(accounts.BOOK, account_id)


def _lock(account_id: str, strategy_name: str) -> AccountStrategy:
    """Return a binding with the row of its account locked, which guards all of them."""
    account = accounts.lock(account_id)
    name = rules.parse_lookup(strategy_name)
    binding = account.bindings.filter(strategy__strategy_name=name).first()
    if binding is None:
        raise NotFound(f"strategy {strategy_name!r} is not bound to account {account_id}")
    binding.account = account
    return binding
