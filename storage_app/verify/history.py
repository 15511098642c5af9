"""Since when a difference stands: the start of the first report, without a gap, that had it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils import timezone

from storage_app.models import Report, ReportKind
from storage_app.verify.differences import Difference, identity_of, since
from storage_app.verify.scope import Scope

# Reports to look back at; a report of another scope says nothing of some differences.
_LOOKED_AT: Final = 30


def dated(report: Report, scope: Scope, found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return the differences as findings, each with the moment since when it stands."""
    now = timezone.localtime(report.started_at).isoformat(timespec="seconds")
    known: dict[tuple[str, str, str], str] = {}
    unknown = {one.identity for one in found}
    earlier = Report.objects.filter(kind=ReportKind.VERIFY, pk__lt=report.pk).order_by("-pk")
    for one in earlier[:_LOOKED_AT]:
        if not unknown:
            break
        stood = {identity_of(finding): finding.get("since") or now for finding in one.findings}
        known |= {identity: stood[identity] for identity in unknown & stood.keys()}
        unknown -= stood.keys()
        if _has_looked(one.summary, scope):
            break
    return [since(one, known.get(one.identity, now)).as_finding() for one in found]


def _has_looked(summary: Mapping[str, Any], scope: Scope) -> bool:
    """Tell whether a report would have had every difference of this scope."""
    if summary.get("cancelled") or summary.get("not_kept") or summary.get("unavailable"):
        return False
    looked, wanted = summary.get("scope", {}), scope.as_json()
    is_as_long = all(looked.get(name) in (None, wanted[name]) for name in ("since", "until"))
    return (
        is_as_long
        and _covers(looked.get("accounts"), scope)
        and set(wanted["kinds"]) <= set(looked.get("kinds", ()))
    )


def _covers(accounts: Sequence[str] | None, scope: Scope) -> bool:
    return accounts is None or (scope.accounts is not None and scope.accounts <= set(accounts))
