"""Strategies and their parameter versions: immutable, gapless, exactly one active."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import FilteredRelation, Max, Q, QuerySet

from storage_app.contract import parameters, rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.parameters import Comparison
from storage_app.contract.rules import StrategyStatus
from storage_app.models import AuditAction, ParamVersion, Strategy
from storage_app.services import access, audit
from storage_app.services.actors import Actor
from storage_app.services.signals import announce

BOOK = "strategies"


def create(
    actor: Actor,
    strategy_name: str,
    strategy_code: str,
    strategy_type: str,
    version: str,
    description: str = "",
    reason: str = "",
) -> Strategy:
    """Add a strategy, in testing; Conflict when its name or code is taken."""
    access.require(actor.user, "storage_app.add_strategy")
    new = rules.new_strategy(strategy_name, strategy_code, strategy_type, version, description)
    with transaction.atomic():
        strategy = _insert(new)
        audit.created(actor, strategy, reason)
        announce(BOOK, strategy.strategy_name)
    return strategy


def _insert(new: rules.NewStrategy) -> Strategy:
    try:
        with transaction.atomic():
            return Strategy.objects.create(
                strategy_name=new.strategy_name,
                strategy_code=new.strategy_code,
                strategy_type=new.strategy_type.value,
                version=new.version,
                description=new.description,
            )
    except IntegrityError as exc:
        for field in ("strategy_name", "strategy_code"):
            value = getattr(new, field)
            if Strategy.objects.filter(**{field: value}).exists():
                raise Conflict(rules.describe_taken_strategy(field, value)) from exc
        raise


def get(strategy_name: str) -> Strategy:
    return _one(Strategy.objects.select_related("active_version"), strategy_name)


def _lock(strategy_name: str) -> Strategy:
    return _one(Strategy.objects.select_for_update(), strategy_name)


def _one(strategies: QuerySet[Strategy], strategy_name: str) -> Strategy:
    strategy = strategies.filter(strategy_name=rules.parse_lookup(strategy_name)).first()
    if strategy is None:
        raise NotFound(rules.describe_unknown_strategy(strategy_name))
    return strategy


_EDITABLE: Mapping[str, Callable[[Any], Any]] = {
    "strategy_type": lambda value: rules.parse_strategy_type(value).value,
    "version": rules.parse_program_version,
    "description": rules.parse_description,
}


def update(actor: Actor, strategy_name: str, changes: Mapping[str, Any], reason: str) -> Strategy:
    """Change strategy_type, version or description; name and code stand in trades and files."""
    access.require(actor.user, "storage_app.change_strategy")
    unknown = sorted(changes.keys() - _EDITABLE.keys())
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} of a strategy cannot be edited")
    parsed = {name: _EDITABLE[name](value) for name, value in changes.items()}
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        strategy = _lock(strategy_name)
        with audit.changing(actor, strategy, reason):
            for name, value in parsed.items():
                setattr(strategy, name, value)
            strategy.save()
        announce(BOOK, strategy_name)
    return strategy


def set_status(actor: Actor, strategy_name: str, status: str, reason: str) -> Strategy:
    access.require(actor.user, "storage_app.change_strategy")
    after = rules.parse_strategy_status(status)
    reason = rules.parse_reason(reason)
    with transaction.atomic():
        strategy = _lock(strategy_name)
        rules.check_strategy_move(StrategyStatus(strategy.status), after)
        with audit.changing(actor, strategy, reason, AuditAction.STATUS):
            strategy.status = after.value
            strategy.save(update_fields=["status", "updated_at"])
        announce(BOOK, strategy_name)
    return strategy


def save_params(
    actor: Actor, strategy_name: str, params: Mapping[str, Any], remark: str = ""
) -> ParamVersion:
    """Store the whole set as the next version and make it the active one."""
    access.require(actor.user, "storage_app.add_paramversion")
    normalised = parameters.normalise(params)
    remark = rules.parse_remark(remark)
    with transaction.atomic():
        strategy = _lock(strategy_name)
        before = _active(strategy)
        strategy.active_version = saved = _append(actor, strategy, normalised.params, remark)
        strategy.save(update_fields=["active_version", "updated_at"])
        audit.record(
            actor,
            AuditAction.CREATE,
            saved,
            before=before,
            after=_active(strategy),
            reason=remark,
        )
        announce(BOOK, strategy.strategy_name)
    parameters.log_conversions(strategy_name, saved.version, normalised)
    return saved


def _append(actor: Actor, strategy: Strategy, params: dict[str, Any], remark: str) -> ParamVersion:
    latest = strategy.versions.aggregate(latest=Max("version"))["latest"] or 0
    return ParamVersion.objects.create(
        strategy=strategy,
        version=latest + 1,
        params=params,
        remark=remark,
        created_by=actor.user,
        actor=actor.name,
    )


def _active(strategy: Strategy) -> dict[str, Any]:
    active = strategy.active_version
    if active is None:
        return {"active_version": None}
    return {"active_version": active.version, "params": active.params}


def activate(actor: Actor, strategy_name: str, version: int, reason: str = "") -> ParamVersion:
    """Make a version the active one, an older one to roll back; the versions stay as they are."""
    access.require(actor.user, "storage_app.change_strategy")
    with transaction.atomic():
        strategy = _lock(strategy_name)
        wanted = strategy.versions.filter(version=version).first()
        if wanted is None:
            raise NotFound(rules.describe_unknown_version(strategy_name, version))
        with audit.changing(actor, strategy, reason, AuditAction.ACTIVATE):
            strategy.active_version = wanted
            strategy.save(update_fields=["active_version", "updated_at"])
        announce(BOOK, strategy_name)
    return wanted


def params_of(strategy_name: str, version: int | None = None) -> dict[str, Any]:
    """Return the parameters of a version, None meaning the active one; {} before any save."""
    named = Strategy.objects.filter(strategy_name=rules.parse_lookup(strategy_name))
    if version is None:
        found = list(named.values_list("active_version__params", flat=True))
    else:
        asked = FilteredRelation("versions", condition=Q(versions__version=version))
        found = list(named.annotate(asked=asked).values_list("asked__params", flat=True))
    if not found:
        raise NotFound(rules.describe_unknown_strategy(strategy_name))
    if found[0] is None and version is not None:
        raise NotFound(rules.describe_unknown_version(strategy_name, version))
    return found[0] or {}


def versions_of(strategy: Strategy) -> QuerySet[ParamVersion]:
    return strategy.versions.order_by("-version")


def compare(strategy_name: str, version_a: int, version_b: int) -> Comparison:
    """Tell which keys version b has added, removed and changed against version a."""
    both = versions_of(get(strategy_name)).filter(version__in=(version_a, version_b))
    params = dict(both.values_list("version", "params"))
    for version in (version_a, version_b):
        if version not in params:
            raise NotFound(rules.describe_unknown_version(strategy_name, version))
    return parameters.compare(params[version_a], params[version_b])
