"""Strategies: their list and page, their status; versions have a module of their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import action, display

from storage_app.admin import figures
from storage_app.admin.confirm import Question, ask, reason_field
from storage_app.admin.parameter_forms import pretty
from storage_app.admin.sources import signed_in
from storage_app.admin.strategy_versions import VERSIONS_SHOWN, VersionPages
from storage_app.models import ParamVersion, Strategy, StrategyStatus
from storage_app.services import strategies
from storage_app.services.access import allowed_account_ids, restrict_accounts
from storage_app.services.actors import of_request

STATUS_TONES = {
    StrategyStatus.ACTIVE.value: "good",
    StrategyStatus.TESTING.value: "info",
    StrategyStatus.INACTIVE.value: "",
}
# Which buttons a status leaves.
MOVES = {
    StrategyStatus.ACTIVE.value: ("test", "retire"),
    StrategyStatus.TESTING.value: ("deploy", "retire"),
    StrategyStatus.INACTIVE.value: ("test",),
}


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = reason_field()

    class Meta:
        model = Strategy
        fields = (
            "strategy_name",
            "strategy_code",
            "strategy_type",
            "version",
            "description",
            "needs_approval",
        )


@admin.register(Strategy)
class StrategyAdmin(VersionPages):
    form = StrategyForm
    list_display = (
        "strategy_name",
        "strategy_code",
        "type_badge",
        "status_badge",
        "version",
        "active_params",
        "num_accounts",
        "updated_at",
    )
    list_filter = (("status", ChoicesRadioFilter), ("strategy_type", ChoicesRadioFilter))
    list_select_related = ("active_version",)
    search_fields = ("strategy_name", "strategy_code")
    # Not that of the model, which a count per row leaves aside.
    ordering = ("strategy_name",)
    fields = (
        ("strategy_name", "strategy_code"),
        ("strategy_type", "version"),
        "description",
        "needs_approval",
        "reason",
    )
    change_form_outer_before_template = "storage_app/parts/strategy_overview.html"
    actions_detail = ("new_version", "deploy", "test", "retire")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        rows: QuerySet[Strategy] = super().get_queryset(request)
        allowed = allowed_account_ids(signed_in(request))
        seen = None if allowed is None else Q(bindings__account__account_id__in=allowed)
        return rows.annotate(accounts=Count("bindings", filter=seen))

    def get_urls(self) -> list[URLPattern]:
        return [*self.version_urls(), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> Any:
        fixed = ("strategy_name", "strategy_code") if obj else ()
        return fixed if self._may_govern(request) else (*fixed, "needs_approval")

    def _may_govern(self, request: HttpRequest) -> bool:
        return signed_in(request).has_perm("storage_app.govern_strategy")

    def save_model(self, request: HttpRequest, obj: Strategy, form: Any, change: bool) -> None:
        actor, given = of_request(request), dict(form.cleaned_data)
        reason = given.pop("reason")
        if change:
            changes = {name: given[name] for name in form.changed_data if name in given}
            strategies.update(actor, obj.strategy_name, changes, reason)
            return
        obj.pk = strategies.create(actor, **given, reason=reason).pk

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        strategy = self.get_object(request, object_id)
        overview: dict[str, Any] = {}
        if strategy is not None and self.has_view_permission(request, strategy):
            overview = self._overview(request, strategy)
        return super().change_view(request, object_id, form_url, overview | (extra_context or {}))

    def _overview(self, request: HttpRequest, strategy: Strategy) -> dict[str, Any]:
        active = strategy.active_version
        bound = strategy.bindings.select_related("account")
        shown = [] if not self.has_view_versions_permission(request) else self._history(strategy)
        limit = None if "history" in request.GET else VERSIONS_SHOWN
        return {
            "title": str(strategy),
            "strategy": strategy,
            "status_tone": STATUS_TONES[strategy.status],
            "active": active,
            "active_params": pretty(active.params) if active else "",
            "versions": [
                (one, self.version_rights(request, strategy, one)) for one in shown[:limit]
            ],
            "num_versions": len(shown),
            "bindings": restrict_accounts(bound, signed_in(request)),
        }

    def _history(self, strategy: Strategy) -> list[ParamVersion]:
        rows = strategy.versions.select_related("decision").defer("params")
        return list(rows.order_by("-version"))

    def moves_of(self, row: Strategy) -> Collection[str]:
        return ("new_version", *MOVES[row.status])

    @action(description=_("Put to work"), url_path="deploy", permissions=["change"], icon="rocket")
    def deploy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy is active from now on.")
        return self._move(request, object_id, StrategyStatus.ACTIVE, _("Put to work"), explanation)

    @action(
        description=_("Back to testing"), url_path="test", permissions=["change"], icon="science"
    )
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy is in testing from now on.")
        return self._move(
            request, object_id, StrategyStatus.TESTING, _("Back to testing"), explanation
        )

    @action(
        description=_("Retire"),
        url_path="retire",
        permissions=["change"],
        icon="archive",
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy stays with its versions; it is never deleted.")
        return self._move(request, object_id, StrategyStatus.INACTIVE, _("Retire"), explanation)

    def _move(
        self,
        request: HttpRequest,
        object_id: str,
        status: StrategyStatus,
        verb: Promise,
        explanation: Promise,
    ) -> HttpResponse:
        strategy = self.found(request, object_id)
        actor, name = of_request(request), strategy.strategy_name
        question = Question(
            title=f"{verb}: {strategy}",
            explanation=explanation,
            button=verb,
            done=_("%(strategy)s is now: %(status)s")
            % {"strategy": strategy, "status": status.label},
            back=self.page_of(strategy),
            act=lambda reason: strategies.set_status(actor, name, status.value, reason),
            is_dangerous=status is StrategyStatus.INACTIVE,
        )
        return ask(self, request, question)

    @display(description=_("type"), ordering="strategy_type")
    def type_badge(self, strategy: Strategy) -> str:
        return figures.badge(strategy.get_strategy_type_display())

    @display(description=_("status"), ordering="status")
    def status_badge(self, strategy: Strategy) -> str:
        return figures.badge(strategy.get_status_display(), STATUS_TONES[strategy.status])

    @display(description=_("active parameter version"))
    def active_params(self, strategy: Strategy) -> str:
        return f"v{strategy.active_version.version}" if strategy.active_version else figures.MISSING

    @display(description=_("accounts"), ordering="accounts")
    def num_accounts(self, strategy: Strategy) -> int:
        return strategy.accounts  # type: ignore[attr-defined]
