"""The second person: parameter versions that wait until somebody else has read them."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.models import (
    AuditAction,
    DecisionOutcome,
    ParamDecision,
    ParamVersion,
    Strategy,
    User,
)
from storage_app.services import access, audit
from storage_app.services.actors import Actor
from storage_app.services.signals import announce

APPROVE_PERMISSION = "storage_app.add_paramdecision"
_ACTIONS = {
    DecisionOutcome.APPROVED: AuditAction.APPROVE,
    DecisionOutcome.REJECTED: AuditAction.REJECT,
}


def waiting(versions: QuerySet[ParamVersion]) -> QuerySet[ParamVersion]:
    """Keep the versions that nobody has decided about yet."""
    return versions.filter(needs_approval=True, decision=None)


def check_usable(version: ParamVersion) -> None:
    """Refuse a version that waits for a second person or was rejected by one."""
    if not version.needs_approval:
        return
    decision = ParamDecision.objects.filter(version=version).first()
    if decision is None:
        raise Conflict(f"{version} waits for the approval of a second person")
    if decision.outcome != DecisionOutcome.APPROVED:
        raise Conflict(f"{version} was rejected by {decision.actor}: {decision.reason}")


def may_decide(user: User, version: ParamVersion) -> bool:
    return user.has_perm(APPROVE_PERMISSION) and not _is_author(user, version)


def _is_author(user: User, version: ParamVersion) -> bool:
    return version.created_by_id == user.pk or version.actor == user.get_username()


def decide(
    actor: Actor, strategy_name: str, version: int, outcome: str, reason: str
) -> ParamDecision:
    """Approve a waiting version, which makes it the active one, or reject it for good.

    PermissionDenied for its author and for a program, Conflict where it does not wait.
    """
    user = _second_person(actor)
    reason = rules.parse_reason(reason)
    decided = _parse_outcome(outcome)
    with transaction.atomic():
        strategy, wanted = _lock(strategy_name, version)
        if _is_author(user, wanted):
            raise PermissionDenied(f"{user} saved {wanted}, so somebody else must decide")
        if not wanted.needs_approval:
            raise InvalidInput(f"{wanted} needs no approval")
        before = _active(strategy)
        decision = _insert(wanted, decided, user, reason)
        if decided is DecisionOutcome.APPROVED:
            strategy.active_version = wanted
            strategy.save(update_fields=["active_version", "updated_at"])
        after = _active(strategy) | {"decision": decided.value}
        audit.record(actor, _ACTIONS[decided], wanted, before=before, after=after, reason=reason)
        announce("strategies", strategy_name)
    return decision


def _parse_outcome(outcome: str) -> DecisionOutcome:
    try:
        return DecisionOutcome(outcome)
    except ValueError as exc:
        raise InvalidInput(f"a decision is approved or rejected, not {outcome!r}") from exc


def _second_person(actor: Actor) -> User:
    if actor.user is None:
        raise PermissionDenied("a person must decide about a version, not a program")
    access.require(actor.user, APPROVE_PERMISSION)
    return actor.user


def _lock(strategy_name: str, version: int) -> tuple[Strategy, ParamVersion]:
    name = rules.parse_lookup(strategy_name)
    strategy = Strategy.objects.select_for_update().filter(strategy_name=name).first()
    if strategy is None:
        raise NotFound(rules.describe_unknown_strategy(strategy_name))
    wanted = strategy.versions.filter(version=version).first()
    if wanted is None:
        raise NotFound(rules.describe_unknown_version(strategy_name, version))
    return strategy, wanted


def _active(strategy: Strategy) -> dict[str, object]:
    active = strategy.active_version
    return {"active_version": active and active.version}


def _insert(
    version: ParamVersion, outcome: DecisionOutcome, user: User, reason: str
) -> ParamDecision:
    try:
        with transaction.atomic():
            return ParamDecision.objects.create(
                version=version,
                outcome=outcome,
                decided_by=user,
                actor=user.get_username(),
                reason=reason,
            )
    except IntegrityError as exc:
        made = ParamDecision.objects.filter(version=version).first()
        if made is None:
            raise
        raise Conflict(f"{version} was {made.outcome} by {made.actor} already") from exc
