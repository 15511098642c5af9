"""What would make the stores agree, and doing it: one step per book, day, code or snapshot.

`plan` looks at the stores as they are now, never at an old report. `repair` does the steps one by
one; each looks at its stores again, holds the lock of what it writes, and leaves an audit entry.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, StorageError
from storage_app.contract.watching import UNWATCHED, Cancelled, Watch
from storage_app.models import AuditAction, Report, ReportKind
from storage_app.services import audit
from storage_app.services.actors import Actor
from storage_app.stores.orm import translating
from storage_app.verify import comparing
from storage_app.verify.differences import Difference, Kind, Problem
from storage_app.verify.repairs import journals, klines, positions, snapshots, trades
from storage_app.verify.repairs.actions import Action
from storage_app.verify.repairs.steps import Perform, Step
from storage_app.verify.scope import Examination, Scope

PERFORM: Final[Mapping[Action, Perform]] = {
    Action.REPLAY: journals.replay,
    Action.COPY_BOOK: positions.copy_book,
    Action.RESTORE_BOOK: positions.restore_book,
    Action.COMPLEMENT: trades.complement,
    Action.REBUILD_LINES: trades.rebuild_lines,
    Action.WRITE_BARS: klines.write_bars,
    Action.MIRROR_BARS: klines.mirror_bars,
    Action.SNAPSHOT: snapshots.take,
    Action.HELD_DAYS: positions.recompute_age,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are done; `unavailable` are stores nobody could look at."""

    steps: list[Step]
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def doable(self) -> list[Step]:
        return [step for step in self.steps if not step.needs_person]

    @property
    def digest(self) -> str:
        """What tells this plan from another one."""
        steps = [[step.key, step.action, step.differences] for step in self.steps]
        return hashlib.sha256(json.dumps(steps).encode()).hexdigest()[:16]


def plan(
    actor: Actor, scope: Scope, watch: Watch = UNWATCHED, *, recompute_held_days: bool = False
) -> Plan:
    """Return what would be done; nothing is written, not even a report."""
    comparing.check_scope(actor, scope)
    found = comparing.Found()
    grouped = _Grouped()
    for difference in comparing.differences(Examination(scope, watch), found):
        grouped.add(difference)
    steps = list(_steps(scope, grouped))
    if recompute_held_days and Kind.POSITIONS.value not in found.unavailable:
        steps += positions.plan_ages(scope)
    return Plan(sorted(steps, key=_in_order), found.unavailable)


def repair(
    actor: Actor,
    reason: str,
    scope: Scope,
    watch: Watch = UNWATCHED,
    *,
    wanted: str | None = None,
    limit: int | None = None,
    recompute_held_days: bool = False,
) -> Report:
    """Do what `plan` says, at most `limit` steps, and return the stored report of it.

    With `wanted`, the digest of a plan that a person has seen, Conflict is raised if the stores
    call for something else by now. A step that fails is told in the report and stops no other.
    """
    reason = rules.parse_reason(reason)
    if actor.is_automatic:
        raise InvalidInput("a person has to ask for a repair")
    todo = plan(actor, scope, watch, recompute_held_days=recompute_held_days)
    if wanted is not None and todo.digest != wanted:
        raise Conflict("the stores have changed since; look at the plan again")
    with translating():
        report = Report.objects.create(
            kind=ReportKind.REPAIR, started_at=timezone.now(), actor=actor.name
        )
    work = _Work(actor, reason, scope, report)
    try:
        for number, step in enumerate(todo.doable[:limit]):
            watch.step(step.key, number, len(todo.doable))
            work.do(step)
    except Cancelled:
        work.is_cancelled = True
        raise
    finally:
        work.store(todo)
    return report


@dataclass(slots=True)
class _Work:
    """A repair under way and what its steps have come to."""

    actor: Actor
    reason: str
    scope: Scope
    report: Report
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    is_cancelled: bool = False

    def do(self, step: Step) -> None:
        try:
            with transaction.atomic():
                done = PERFORM[step.action](self.scope, step)
                audit.record(
                    self.actor,
                    AuditAction.REPAIR,
                    self.report,
                    before={"action": ""} | dict(done.before),
                    after={"action": step.action.value} | dict(done.after),
                    reason=self.reason,
                    key=step.key,
                    account_id=step.account_id,
                )
        except StorageError as exc:
            self.outcomes.append(step.as_finding() | {"outcome": "failed", "error": str(exc)})
        else:
            self.outcomes.append(step.as_finding() | {"outcome": "done", "error": ""})

    def store(self, todo: Plan) -> None:
        """Keep what was done, what was not, and what is left to a person."""
        tried = {(one["kind"], one["unit"], one["action"]) for one in self.outcomes}
        for step in todo.steps:
            if (step.kind.value, step.unit, step.action.value) not in tried:
                outcome = "by_hand" if step.needs_person else "not_done"
                self.outcomes.append(step.as_finding() | {"outcome": outcome, "error": ""})
        counts = Counter(one["outcome"] for one in self.outcomes)
        self.report.findings = self.outcomes[: comparing.KEPT_FINDINGS]
        self.report.summary = {
            "scope": self.scope.as_json(),
            "reason": self.reason,
            "outcomes": dict(counts),
            "unavailable": dict(todo.unavailable),
            "cancelled": self.is_cancelled,
        }
        self.report.is_clean = counts.keys() <= {"done"} and not todo.unavailable
        self.report.finished_at = timezone.now()
        with translating():
            self.report.save()


@dataclass(slots=True)
class _Grouped:
    """Differences by what a repair works on: how many, the first, and the uids of trades."""

    counts: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    first: dict[tuple[Kind, str], Difference] = field(default_factory=dict)
    # Trades of a day that differ in content and in nothing else; None when something else does.
    contradicting: dict[tuple[Kind, str], set[str] | None] = field(default_factory=dict)

    def add(self, difference: Difference) -> None:
        group = (difference.kind, difference.unit or difference.key)
        self.counts[group] += 1
        self.first.setdefault(group, difference)
        uid = difference.key.rpartition(" ")[2]
        uids = self.contradicting.setdefault(group, set())
        if difference.problem is not Problem.DIFFERS or len(uid) != _UID_LENGTH:
            self.contradicting[group] = None
        elif uids is not None:
            uids.add(uid)


_UID_LENGTH: Final = 36


def _steps(scope: Scope, grouped: _Grouped) -> Iterable[Step]:
    for (kind, unit), count in grouped.counts.items():
        first = grouped.first[kind, unit]
        yield Step(
            kind,
            _action_for(scope, first, grouped.contradicting[kind, unit]),
            unit,
            first.account_id,
            count,
            first.as_finding(),
        )


def _action_for(scope: Scope, first: Difference, contradicting: set[str] | None) -> Action:
    match first.kind:
        case Kind.POSITIONS:
            return positions.action_for(scope, first.unit)
        case Kind.TRADES:
            return _trade_action(first, contradicting)
        case Kind.KLINES:
            return klines.action_for(first.unit)
        case Kind.ACCOUNTS | Kind.STRATEGIES:
            return Action.SNAPSHOT
        case Kind.JOURNALS if first.problem is Problem.OWED:
            return Action.REPLAY
        case _:
            return Action.BY_HAND


def _trade_action(first: Difference, contradicting: set[str] | None) -> Action:
    if first.problem is Problem.DAMAGED:
        return Action.REBUILD_LINES
    if contradicting and contradicting == trades.open_conflicts(contradicting):
        return Action.BY_HAND
    return Action.COMPLEMENT


def _in_order(step: Step) -> tuple[int, int, str]:
    """Owed writes first, since they may end other differences; what a person does, last."""
    return step.needs_person, step.action is not Action.REPLAY, step.key
