"""Reports of jobs as a person may see them: the findings of the accounts in reach."""

from __future__ import annotations

from typing import Any

from storage_app.models import Report


def findings_for(report: Report, allowed: frozenset[str] | None) -> list[Any]:
    """Return the findings about the `allowed` accounts (see `access.allowed_account_ids`).

    Who is limited to accounts does not see what belongs to none.
    """
    if allowed is None:
        return list(report.findings)
    return [
        one for one in report.findings if isinstance(one, dict) and one.get("account_id") in allowed
    ]


def is_clean_for(report: Report, allowed: frozenset[str] | None) -> bool:
    """Tell whether a report found nothing that somebody may see."""
    return report.is_clean if allowed is None else not findings_for(report, allowed)
