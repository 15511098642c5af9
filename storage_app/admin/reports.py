"""Reports of jobs: imports, comparisons of stores, backups; and the repair of what differs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesRadioFilter
from unfold.decorators import action, display

from storage_app.admin import figures, findings
from storage_app.admin.confirm import Question, ask
from storage_app.admin.records import DecidingAdmin, ReadOnlyAdmin
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.contract.errors import StorageError
from storage_app.models import Report, ReportKind
from storage_app.services import reports
from storage_app.services.access import allowed_account_ids
from storage_app.services.actors import of_request
from storage_app.verify import wording
from storage_app.verify.differences import Kind
from storage_app.verify.scope import Patience, Scope
from trades_app.market import clock

if TYPE_CHECKING:
    from storage_app.services.actors import Actor
    from storage_app.verify.repairing import Plan

ROWS_ON_A_PAGE = 100
# Somebody waits for the page: what is still catching up is looked at again by the next click.
PATIENCE = Patience(books=3.0, entries=0.5, snapshots=3.0)
# What one click may do; `repair_stores` has no such bound.
STEPS_AT_ONCE = 200


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin, DecidingAdmin):
    list_display = ("started_at", "kind_badge", "took", "actor")
    list_filter = (("kind", ChoicesRadioFilter), ("is_clean", BooleanRadioFilter))
    list_display_links = ("started_at",)
    list_filter_sheet = False
    list_per_page = 50
    change_form_template = "storage_app/report.html"
    actions_detail = ("repair",)

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        # What a row shows depends on who looks.
        allowed = allowed_account_ids(signed_in(request))

        @display(description=_("outcome"), ordering="is_clean")
        def clean_badge(report: Report) -> str:
            return _badge(report, allowed)

        @display(description=_("findings"))
        def num_findings(report: Report) -> str:
            return figures.whole(len(reports.findings_for(report, allowed)))

        return ("started_at", self.kind_badge, clean_badge, num_findings, self.took, "actor")

    def moves_of(self, row: Report) -> Collection[str]:
        return self.actions_detail if row.kind == ReportKind.VERIFY and row.findings else ()

    def has_repair_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.repair_stores")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        report = self.get_object(request, object_id)
        shown = {} if report is None else describe(request, report)
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @action(
        description=_("Show repair"),
        url_path="repair",
        permissions=["repair"],
        icon="build",
    )
    def repair(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what would be done now, and do it when a person says why."""
        report = self.found(request, object_id)
        back, remembered = self.page_of(report), f"repair of report {report.pk}"
        actor, scope = of_request(request), repair_scope(request, report)
        done: list[Report] = []
        details: tuple[str, dict[str, Any]] = ("", {})
        if not request.POST.get("reason", "").strip():
            try:
                plan = _plan(actor, scope)
            except StorageError as exc:
                messages.error(request, str(exc))
                return HttpResponseRedirect(back)
            if not plan.steps:
                _tell_nothing_is_planned(request, plan)
                return HttpResponseRedirect(back)
            request.session[remembered] = plan.digest
            details = ("storage_app/parts/repair_plan.html", _describe_plan(plan))

        def act(reason: str) -> None:
            wanted = request.session.get(remembered, "")
            done.append(_repair(actor, reason, scope, wanted))

        question = Question(
            title=str(_("Repair of stores")),
            explanation=_(
                "Each step looks at its stores again, and leaves an entry in the audit trail."
            ),
            button=_("Repair"),
            done=_("The repair has ended; see below what it did."),
            back=lazy(lambda: self.page_of(done[0]) if done else back, str)(),
            act=act,
            is_dangerous=True,
            details=details,
        )
        return ask(self, request, question)

    @display(description=_("kind"), ordering="kind")
    def kind_badge(self, report: Report) -> str:
        return figures.badge(report.get_kind_display(), "info")

    @display(description=_("took"))
    def took(self, report: Report) -> str:
        if report.finished_at is None:
            return figures.MISSING
        return f"{(report.finished_at - report.started_at).total_seconds():,.1f} s"


def describe(request: HttpRequest, report: Report) -> dict[str, Any]:
    """Return what the page of a report shows to whoever asks for it."""
    allowed = allowed_account_ids(signed_in(request))
    visible = reports.findings_for(report, allowed)
    layout, chosen, filters = findings.tabulate(visible, request.GET.get("only", ""))
    page = Paginator(chosen, ROWS_ON_A_PAGE).get_page(request.GET.get("p"))
    summary = report.summary if allowed is None else {}
    return {
        "report": report,
        "badge": _badge(report, allowed),
        "facts": findings.facts(summary),
        "notes": wording.notes(summary.get("notes", ())),
        "missing": summary.get("unavailable", {}),
        "is_cancelled": summary.get("cancelled", False),
        "not_kept": summary.get("not_kept", 0),
        "columns": layout.columns,
        "rows": [layout.cells(one) for one in page],
        "filters": filters,
        "total": len(visible),
        "page": page,
        "only": request.GET.get("only", ""),
    }


def repair_scope(request: HttpRequest, report: Report) -> Scope:
    """Return what a report compared, as far as it found differences and its reader may see them."""
    allowed = allowed_account_ids(signed_in(request))
    looked = report.summary.get("scope", {})
    accounts = looked.get("accounts")
    if accounts is not None:
        allowed = frozenset(accounts) & (frozenset(accounts) if allowed is None else allowed)
    since, until = (
        clock.parse_date(day) if (day := looked.get(name)) else None for name in ("since", "until")
    )
    found = {one.get("kind") for one in report.findings if isinstance(one, dict)}
    kinds = frozenset(kind for kind in Kind if kind in found)
    return Scope(allowed, since, until, kinds, patience=PATIENCE)


def _plan(actor: Actor, scope: Scope) -> Plan:
    # Brings pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app.verify import repairing

    with reading_clickhouse():
        return repairing.plan(actor, scope)


def _tell_nothing_is_planned(request: HttpRequest, plan: Plan) -> None:
    if not plan.unavailable:
        messages.info(request, _("Nothing differs any more: there is nothing to repair."))
    for reason in plan.unavailable.values():
        messages.error(request, reason)


def _repair(actor: Actor, reason: str, scope: Scope, wanted: str) -> Report:
    from storage_app.verify import repairing

    with reading_clickhouse():
        return repairing.repair(actor, reason, scope, wanted=wanted, limit=STEPS_AT_ONCE)


def _describe_plan(plan: Plan) -> dict[str, Any]:
    shown = plan.steps[:ROWS_ON_A_PAGE]
    return {
        "plan": findings.repair_table(step.as_finding() for step in shown),
        "left_out": len(plan.steps) - len(shown),
        "at_once": STEPS_AT_ONCE if len(plan.doable) > STEPS_AT_ONCE else 0,
        "missing": plan.unavailable,
    }


def _badge(report: Report, allowed: frozenset[str] | None) -> str:
    if report.finished_at is None:
        return figures.badge(_("Unfinished"), "warn")
    if reports.is_clean_for(report, allowed):
        return figures.badge(_("Clean"), "good")
    return figures.badge(_("Findings"), "bad")
