"""Strategies and their parameter versions: immutable, gapless, exactly one active."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import FilteredRelation, Q, QuerySet

from storage_app.contract import parameters, rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.parameters import Comparison
from storage_app.contract.rules import StrategyStatus
from storage_app.models import AuditAction, ParamVersion, Strategy
from storage_app.services import access, approvals, audit
from storage_app.services.actors import Actor
from storage_app.services.signals import announce

logger = logging.getLogger(__name__)

BOOK = "strategies"


class Overtaken(Conflict):
    """Somebody saved a version while another was being written."""

    def __init__(self, by: str, version: int) -> None:
        self.by, self.version = by, version
        super().__init__(f"{by} has saved version {version} meanwhile; compare and save again")


def create(
    actor: Actor,
    strategy_name: str,
    strategy_code: str,
    strategy_type: str,
    version: str,
    description: str = "",
    reason: str = "",
    *,
    needs_approval: bool = False,
) -> Strategy:
    """Add a strategy, in testing; Conflict when its name or code is taken."""
    access.require(actor.user, "storage_app.add_strategy")
    if needs_approval:
        _require_governor(actor)
    new = rules.new_strategy(strategy_name, strategy_code, strategy_type, version, description)
    with transaction.atomic():
        strategy = _insert(new, needs_approval=needs_approval)
        audit.created(actor, strategy, reason)
        announce(BOOK, strategy.strategy_name)
    return strategy


def _insert(new: rules.NewStrategy, *, needs_approval: bool) -> Strategy:
    try:
        with transaction.atomic():
            return Strategy.objects.create(
                strategy_name=new.strategy_name,
                strategy_code=new.strategy_code,
                strategy_type=new.strategy_type.value,
                version=new.version,
                description=new.description,
                needs_approval=needs_approval,
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


def _parse_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"needs_approval must be True or False, not {value!r}")
    return value


_EDITABLE: Mapping[str, Callable[[Any], Any]] = {
    "strategy_type": lambda value: rules.parse_strategy_type(value).value,
    "version": rules.parse_program_version,
    "description": rules.parse_description,
    "needs_approval": _parse_flag,
}


def update(actor: Actor, strategy_name: str, changes: Mapping[str, Any], reason: str) -> Strategy:
    """Change strategy_type, version, description or needs_approval.

    Name and code stay, since they stand in trades and files. Whether a second person must
    approve is for people who may govern strategies, never for a program.
    """
    access.require(actor.user, "storage_app.change_strategy")
    unknown = sorted(changes.keys() - _EDITABLE.keys())
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} of a strategy cannot be edited")
    parsed = {name: _EDITABLE[name](value) for name, value in changes.items()}
    reason = rules.parse_reason(reason)
    if "needs_approval" in parsed:
        _require_governor(actor)
    with transaction.atomic():
        strategy = _lock(strategy_name)
        with audit.changing(actor, strategy, reason):
            for name, value in parsed.items():
                setattr(strategy, name, value)
            strategy.save()
        announce(BOOK, strategy_name)
    return strategy


def _require_governor(actor: Actor) -> None:
    if actor.user is None:
        raise PermissionDenied("a person must require or lift approval, not a program")
    access.require(actor.user, "storage_app.govern_strategy")


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
    actor: Actor,
    strategy_name: str,
    params: Mapping[str, Any],
    remark: str = "",
    *,
    based_on: int | None = None,
) -> ParamVersion:
    """Store the whole set as the next version and make it the active one.

    Where the strategy asks for a second person, the version waits for `approvals.decide` and
    the active one stays. `based_on` is the newest version (0: none) that the author had seen;
    Conflict when somebody has saved another since.
    """
    access.require(actor.user, "storage_app.add_paramversion")
    normalised = parameters.normalise(params)
    remark = rules.parse_remark(remark)
    with transaction.atomic():
        strategy = _lock(strategy_name)
        latest = strategy.versions.order_by("-version").first()
        _check_unmoved(strategy, latest, based_on)
        before = _active(strategy)
        saved = _append(actor, strategy, latest, normalised.params, remark)
        after = {"active_version": saved.version, "params": saved.params}
        if saved.needs_approval:
            before = {}
            after = {"version": saved.version, "params": saved.params, "needs_approval": True}
        else:
            strategy.active_version = saved
            strategy.save(update_fields=["active_version", "updated_at"])
        audit.record(actor, AuditAction.CREATE, saved, before=before, after=after, reason=remark)
        announce(BOOK, strategy.strategy_name)
    parameters.log_conversions(strategy_name, saved.version, normalised)
    if saved.needs_approval:
        logger.info("%s waits for the approval of a second person", saved)
    return saved


def save_if_changed(
    actor: Actor,
    strategy_name: str,
    params: Mapping[str, Any],
    remark: str = "",
    *,
    based_on: int | None = None,
) -> ParamVersion | None:
    """Do `save_params`, or nothing (None) where the newest usable set is this one already."""
    access.require(actor.user, "storage_app.add_paramversion")
    wanted = parameters.normalise(params).params
    with transaction.atomic():
        strategy = _lock(strategy_name)
        current = strategy.active_version
        if current is not None and not parameters.compare(current.params, wanted).pairs():
            return None
        return save_params(actor, strategy_name, wanted, remark, based_on=based_on)


def _check_unmoved(strategy: Strategy, latest: ParamVersion | None, based_on: int | None) -> None:
    newest = latest.version if latest else 0
    if latest is not None and based_on is not None and based_on != newest:
        raise Overtaken(latest.actor, newest)


def _append(
    actor: Actor,
    strategy: Strategy,
    latest: ParamVersion | None,
    params: dict[str, Any],
    remark: str,
) -> ParamVersion:
    return ParamVersion.objects.create(
        strategy=strategy,
        version=(latest.version if latest else 0) + 1,
        needs_approval=strategy.needs_approval,
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
    """Make a version the active one, an older one to roll back; the versions stay as they are.

    Conflict for one that waits for a second person or was rejected by one.
    """
    access.require(actor.user, "storage_app.change_strategy")
    with transaction.atomic():
        strategy = _lock(strategy_name)
        wanted = strategy.versions.filter(version=version).first()
        if wanted is None:
            raise NotFound(rules.describe_unknown_version(strategy_name, version))
        approvals.check_usable(wanted)
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
