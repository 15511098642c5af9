"""All comparisons, run one after the other into a stored report.

Nothing here writes to a store: `verify_stores`, the nightly task and the admin call `run`, and
`repairs.plan` looks at the same differences again before it proposes anything.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from storage_app.contract.errors import Corrupt, Unavailable
from storage_app.contract.watching import UNWATCHED, Cancelled, Watch
from storage_app.models import Report, ReportKind
from storage_app.services import access
from storage_app.services.actors import Actor
from storage_app.stores.orm import translating
from storage_app.verify import (
    accounts,
    backups,
    calendar,
    history,
    journals,
    klines,
    positions,
    strategies,
    trades,
)
from storage_app.verify.differences import Difference, Kind, below, damaged
from storage_app.verify.scope import Examination, Scope

logger = logging.getLogger(__name__)

# What one report holds; all that is found beyond is counted.
KEPT_FINDINGS: Final = 2000
REPAIR: Final = "storage_app.repair_stores"

Comparison: TypeAlias = Callable[[Examination], Iterator[Difference]]

COMPARISONS: Mapping[Kind, Comparison] = {
    Kind.POSITIONS: positions.compare,
    Kind.TRADES: trades.compare,
    Kind.KLINES: klines.compare,
    Kind.ACCOUNTS: accounts.compare,
    Kind.STRATEGIES: strategies.compare,
    Kind.JOURNALS: journals.compare,
    Kind.BACKUPS: backups.compare,
    Kind.CALENDAR: calendar.compare,
}


@dataclass(slots=True)
class Found:
    """What the comparisons have come to so far."""

    kept: list[Difference] = field(default_factory=list)
    by_kind: Counter[str] = field(default_factory=Counter)
    unavailable: dict[str, str] = field(default_factory=dict)
    is_cancelled: bool = False
    is_complete: bool = False

    @property
    def is_clean(self) -> bool:
        return self.is_complete and not (self.by_kind or self.unavailable)

    def add(self, difference: Difference) -> None:
        self.by_kind[difference.kind.value] += 1
        if len(self.kept) < KEPT_FINDINGS:
            self.kept.append(difference)


def run(actor: Actor, scope: Scope | None = None, watch: Watch = UNWATCHED) -> Report:
    """Compare the stores and return the stored report, clean if they agree.

    A server that does not answer is named in `summary["unavailable"]` and the rest is compared
    all the same. Unavailable is raised only when the report itself cannot be stored. Cancelled
    passes on, and the report tells what was found until then.
    """
    scope = scope or Scope()
    check_scope(actor, scope)
    with translating():
        report = Report.objects.create(
            kind=ReportKind.VERIFY, started_at=timezone.now(), actor=actor.name
        )
    exam, found = Examination(scope, watch), Found()
    try:
        for difference in differences(exam, found):
            found.add(difference)
        found.is_complete = True
    except Cancelled:
        found.is_cancelled = True
        raise
    finally:
        _store(report, exam, found)
    if not found.is_clean:
        logger.warning(
            "Stores differ: %s; not compared: %s; report %s",
            dict(found.by_kind),
            found.unavailable,
            report.pk,
        )
    return report


def check_scope(actor: Actor, scope: Scope) -> None:
    """Raise PermissionDenied for a person who may not compare and repair these accounts."""
    access.require(actor.user, REPAIR)
    for account_id in scope.accounts or ():
        access.require_account(actor.user, account_id)
    is_limited = actor.user is not None and access.allowed_account_ids(actor.user) is not None
    if is_limited and scope.accounts is None:
        raise PermissionDenied(f"{actor.user} may compare and repair single accounts only")


def differences(exam: Examination, found: Found) -> Iterator[Difference]:
    """Yield what the comparisons of the scope find; note the servers that do not answer."""
    for kind in exam.scope.wanted:
        try:
            for difference in COMPARISONS[kind](exam):
                yield below(difference, exam.scope.data_dir)
        except Unavailable as exc:
            found.unavailable[kind.value] = str(exc)
        except Corrupt as exc:
            yield below(damaged(kind, exc), exam.scope.data_dir)


def _store(report: Report, exam: Examination, found: Found) -> None:
    report.is_clean = found.is_clean
    report.findings = history.dated(report, exam.scope, found.kept)
    report.summary = _summary(exam, found)
    report.finished_at = timezone.now()
    with translating():
        report.save()


def _summary(exam: Examination, found: Found) -> dict[str, Any]:
    total = sum(found.by_kind.values())
    return {
        "host": socket.gethostname(),
        "scope": exam.scope.as_json(),
        "differences": dict(found.by_kind),
        "compared": dict(exam.counts),
        "not_kept": total - len(found.kept),
        "unavailable": found.unavailable,
        "notes": exam.notes,
        "cancelled": found.is_cancelled,
    }
