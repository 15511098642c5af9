"""Reports of jobs: imports, comparisons of stores, backups."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesRadioFilter
from unfold.decorators import display

from storage_app.admin import figures
from storage_app.admin.records import ReadOnlyAdmin
from storage_app.admin.sources import signed_in
from storage_app.models import Report
from storage_app.services.access import allowed_account_ids

FINDINGS_SHOWN = 500


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "kind_badge", "clean_badge", "num_findings", "took", "actor")
    list_filter = (("kind", ChoicesRadioFilter), ("is_clean", BooleanRadioFilter))
    list_filter_sheet = False
    change_form_template = "storage_app/report.html"

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A report tells of all accounts at once, so it is for those who may see all of them.
        sees_all = allowed_account_ids(signed_in(request)) is None
        return sees_all and super().has_view_permission(request, obj)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        report = self.get_object(request, object_id)
        shown = {} if report is None else _describe(report)
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @display(description=_("kind"), ordering="kind")
    def kind_badge(self, report: Report) -> str:
        return figures.badge(report.get_kind_display(), "info")

    @display(description=_("outcome"), ordering="is_clean")
    def clean_badge(self, report: Report) -> str:
        if report.finished_at is None:
            return figures.badge(_("Unfinished"), "warn")
        if report.is_clean:
            return figures.badge(_("Clean"), "good")
        return figures.badge(_("Findings"), "bad")

    @display(description=_("findings"))
    def num_findings(self, report: Report) -> int:
        return len(report.findings)

    @display(description=_("took"))
    def took(self, report: Report) -> str:
        if report.finished_at is None:
            return figures.MISSING
        return f"{(report.finished_at - report.started_at).total_seconds():,.1f} s"


def _describe(report: Report) -> dict[str, Any]:
    summary, findings = report.summary, report.findings[:FINDINGS_SHOWN]
    columns = sorted({key for row in findings if isinstance(row, dict) for key in row})
    return {
        "report": report,
        "summary": sorted((key, _text(value)) for key, value in summary.items()),
        "columns": columns or [""],
        "rows": [_row(row, columns) for row in findings],
        "left_out": len(report.findings) - len(findings),
    }


def _row(finding: Any, columns: list[str]) -> list[str]:
    if not isinstance(finding, dict):
        return [_text(finding)]
    return [_text(finding.get(column, "")) for column in columns]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
