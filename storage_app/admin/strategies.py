"""Strategies with their parameter versions: history, comparison, a new version, activation."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from storage_app.admin import figures
from storage_app.admin.confirm import Question, ask, reason_field
from storage_app.admin.records import ServiceAdmin
from storage_app.admin.sources import signed_in
from storage_app.contract.errors import NotFound, StorageError
from storage_app.models import Strategy, StrategyStatus
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
VERSIONS_SHOWN = 100
CELL_LENGTH = 60


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def brief(value: Any) -> str:
    """Return JSON on one line as long as it fits into a cell."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= CELL_LENGTH else pretty(value)


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = reason_field()

    class Meta:
        model = Strategy
        fields = ("strategy_name", "strategy_code", "strategy_type", "version", "description")


class ParamsForm(forms.Form):
    """A whole set of parameters as JSON, with a remark."""

    params = forms.CharField(
        label=_("Parameters"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "spellcheck": "false"}),
        help_text=_("A JSON object. Lists stand for tuples and sets."),
    )
    remark = forms.CharField(
        label=_("Remark"), required=False, max_length=200, widget=UnfoldAdminTextInputWidget
    )

    def clean_params(self) -> dict[str, Any]:
        text = self.cleaned_data["params"]
        try:
            params = json.loads(text)
        except json.JSONDecodeError as exc:
            raise forms.ValidationError(
                _("Not JSON: line %(line)s, column %(column)s: %(problem)s"),
                params={"line": exc.lineno, "column": exc.colno, "problem": exc.msg},
            ) from exc
        if not isinstance(params, dict):
            raise forms.ValidationError(_('Write an object: {"name": value, …}.'))
        return params


@admin.register(Strategy)
class StrategyAdmin(ServiceAdmin):
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
    fields = (
        ("strategy_name", "strategy_code"),
        ("strategy_type", "version"),
        "description",
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
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/compare/",
                view(self.compare_view),
                name="storage_app_strategy_compare",
            ),
            path(
                "<path:object_id>/versions/<int:version>/activate/",
                view(self.activate_view),
                name="storage_app_strategy_activate",
            ),
            *super().get_urls(),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> Any:
        return ("strategy_name", "strategy_code") if obj else ()

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
        versions = strategy.versions.select_related("created_by").defer("params")
        return {
            "title": str(strategy),
            "strategy": strategy,
            "status_tone": STATUS_TONES[strategy.status],
            "active": active,
            "active_params": pretty(active.params) if active else "",
            "versions": versions.order_by("-version")[:VERSIONS_SHOWN],
            "bindings": restrict_accounts(bound, signed_in(request)),
            "may_activate": self.has_change_permission(request, strategy),
        }

    def moves_of(self, row: Strategy) -> Collection[str]:
        return ("new_version", *MOVES[row.status])

    @action(
        description=_("New parameter version"),
        url_path="new-version",
        permissions=["save_params"],
        icon="add",
    )
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        strategy = self.found(request, object_id)
        active = strategy.active_version
        form = ParamsForm(
            request.POST or None, initial={"params": pretty(active.params if active else {})}
        )
        back = self.page_of(strategy)
        if request.method == "POST" and form.is_valid():
            try:
                saved = strategies.save_params(
                    of_request(request), strategy.strategy_name, **form.cleaned_data
                )
            except StorageError as exc:
                form.add_error(None, str(exc))
            else:
                messages.success(
                    request,
                    _("Version %(number)s is saved and active.") % {"number": saved.version},
                )
                return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": _("New parameter version: %(strategy)s") % {"strategy": strategy},
            "opts": self.opts,
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "storage_app/new_version.html", context)

    def has_save_params_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.add_paramversion")

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

    def activate_view(self, request: HttpRequest, object_id: str, version: int) -> HttpResponse:
        strategy = self.found(request, object_id)
        if not self.has_change_permission(request, strategy):
            raise PermissionDenied
        if not strategy.versions.filter(version=version).exists():
            raise Http404
        actor, name = of_request(request), strategy.strategy_name
        words = {"number": version, "strategy": strategy}
        question = Question(
            title=_("Activate version %(number)s: %(strategy)s") % words,
            explanation=_(
                "Trading programs read the active version. The other versions stay as they are."
            ),
            button=_("Activate"),
            done=_("Version %(number)s of %(strategy)s is active.") % words,
            back=self.page_of(strategy),
            act=lambda reason: strategies.activate(actor, name, version, reason),
        )
        return ask(self, request, question)

    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put two versions side by side; by default the two newest."""
        strategy = self.found(request, object_id)
        numbers = list(strategy.versions.order_by("-version").values_list("version", flat=True))
        newer = _number(request, "b", numbers[0] if numbers else 0)
        older = _number(request, "a", next((one for one in numbers if one < newer), newer))
        try:
            found = strategies.compare(strategy.strategy_name, older, newer)
        except NotFound as exc:
            raise Http404 from exc
        rows = [
            *(("changed", key, brief(a), brief(b)) for key, (a, b) in found.changed.items()),
            *(("added", key, "", brief(value)) for key, value in found.added.items()),
            *(("removed", key, brief(value), "") for key, value in found.removed.items()),
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Compare versions: %(strategy)s") % {"strategy": strategy},
            "opts": self.opts,
            "strategy": strategy,
            "numbers": numbers,
            "older": older,
            "newer": newer,
            "rows": sorted(rows, key=lambda row: row[1]),
        }
        return TemplateResponse(request, "storage_app/compare.html", context)

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


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() else default
