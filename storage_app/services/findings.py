"""What people hear of reports that a job has stored."""

from __future__ import annotations

from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from storage_app import alerts
from storage_app.models import Report


def told(report: Report) -> dict[str, Any]:
    """Tell people of findings, or that there are none any more; return the job's result."""
    key, kind = f"report {report.kind}", report.get_kind_display()
    if report.is_clean:
        alerts.recovered(key, format_lazy(_("{kind}: nothing is found any more"), kind=kind))
    else:
        title = format_lazy(_("{kind}: there are findings"), kind=kind)
        body = format_lazy(_("See report {number}."), number=report.pk)
        alerts.send(key, title, body, standing=True)
    return {"report": report.pk, "clean": report.is_clean, "findings": len(report.findings)}
