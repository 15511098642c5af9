"""Pages of parameter versions: write, read, compare, export, activate, approve."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from storage_app.admin.confirm import Question, ask
from storage_app.admin.parameter_diffs import Row, side_by_side
from storage_app.admin.parameter_forms import MOST_FIELDS, FileForm, JsonForm, TypedForm, pretty
from storage_app.admin.records import ServiceAdmin
from storage_app.admin.sources import signed_in
from storage_app.contract.errors import StorageError
from storage_app.models import DecisionOutcome, ParamVersion, Strategy
from storage_app.services import approvals, parameter_texts, strategies
from storage_app.services.actors import of_request
from storage_app.services.parameter_texts import CONTENT_TYPES, Format

VERSIONS_SHOWN = 30
MODES = ("form", "json")


class VersionPages(ServiceAdmin):
    """The part of the strategies' admin that deals with versions of parameters."""

    def version_urls(self) -> list[URLPattern]:
        def at(route: str, view: Any, name: str) -> URLPattern:
            where = f"<path:object_id>/{route}"
            return path(
                where, self.admin_site.admin_view(view), name=f"storage_app_strategy_{name}"
            )

        one = "versions/<int:version>/"
        return [
            at("compare/", self.compare_view, "compare"),
            at(one, self.version_view, "version"),
            at(f"{one}activate/", self.activate_view, "activate"),
            at(f"{one}approve/", self.approve_view, "approve"),
            at(f"{one}reject/", self.reject_view, "reject"),
            at(f"{one}export/<slug:form>/", self.export_view, "export"),
        ]

    def found_version(
        self, request: HttpRequest, object_id: str, number: int
    ) -> tuple[Strategy, ParamVersion]:
        strategy = self.found(request, object_id)
        rows = strategy.versions.select_related("strategy", "created_by", "decision")
        version = rows.filter(version=number).first()
        if version is None or not self.has_view_versions_permission(request):
            raise Http404
        return strategy, version

    def has_view_versions_permission(self, request: HttpRequest) -> bool:
        return signed_in(request).has_perm("storage_app.view_paramversion")

    def has_save_params_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.add_paramversion")

    @action(
        description=_("New parameter version"),
        url_path="new-version",
        permissions=["save_params"],
        icon="add",
    )
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        strategy = self.found(request, object_id)
        file = FileForm(request.POST, request.FILES) if "load" in request.POST else FileForm()
        loaded = file.cleaned_data["file"] if file.is_bound and file.is_valid() else None
        form = self._version_form(request, strategy, loaded, is_sent=not file.is_bound)
        if request.method == "POST" and not file.is_bound and form.is_valid():
            answer = self._save(request, strategy, form)
            if answer is not None:
                return answer
        return self._version_page(request, strategy, form, file, loaded)

    def _version_form(
        self,
        request: HttpRequest,
        strategy: Strategy,
        loaded: dict[str, Any] | None,
        *,
        is_sent: bool,
    ) -> Any:
        sent = request.POST if request.method == "POST" and is_sent else None
        origin = _origin(request, strategy)
        params = origin.params if origin else {}
        newest = strategy.versions.order_by("-version").values_list("version", flat=True).first()
        initial = {"based_on": newest or 0, "origin": origin.version if origin else 0}
        as_json = request.GET.get("mode") == "json" or loaded is not None or not params
        if as_json or len(params) > MOST_FIELDS or (sent is not None and "text" in sent):
            shown = params if loaded is None else loaded
            return JsonForm(sent, initial=initial | {"text": pretty(shown)})
        return TypedForm(params, sent, initial=initial)

    def _version_page(
        self,
        request: HttpRequest,
        strategy: Strategy,
        form: Any,
        file: FileForm,
        loaded: dict[str, Any] | None,
    ) -> HttpResponse:
        params = strategy.active_version.params if strategy.active_version else {}
        context = {
            **self.admin_site.each_context(request),
            "title": _("New parameter version: %(strategy)s") % {"strategy": strategy},
            "opts": self.opts,
            "strategy": strategy,
            "form": form,
            "file": file,
            "is_typed": isinstance(form, TypedForm),
            "may_be_typed": 0 < len(params) <= MOST_FIELDS,
            "origin": _origin(request, strategy),
            "rows": _differing(params, loaded),
            "back": self.page_of(strategy),
        }
        return TemplateResponse(request, "storage_app/new_version.html", context)

    def _save(self, request: HttpRequest, strategy: Strategy, form: Any) -> HttpResponse | None:
        """Save a form and lead back; None where a service refused, with the form saying why."""
        given = form.cleaned_data
        try:
            saved = strategies.save_if_changed(
                of_request(request),
                strategy.strategy_name,
                form.params,
                given["remark"],
                based_on=given["based_on"],
            )
        except strategies.Overtaken as exc:
            text = _("%(name)s has saved version %(number)s meanwhile; compare and save again.")
            form.add_error(None, text % {"name": exc.by, "number": exc.version})
            return None
        except StorageError as exc:
            form.add_error(None, str(exc))
            return None
        if saved is None:
            messages.info(request, _("Nothing differs from the active version; none was made."))
        elif saved.needs_approval:
            text = _("Version %(number)s is saved and waits for a second person.")
            messages.warning(request, text % {"number": saved.version})
        else:
            text = _("Version %(number)s is saved and active.")
            messages.success(request, text % {"number": saved.version})
        return HttpResponseRedirect(self.page_of(strategy))

    def version_view(self, request: HttpRequest, object_id: str, version: int) -> HttpResponse:
        strategy, one = self.found_version(request, object_id, version)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Version %(number)s: %(strategy)s")
            % {"number": version, "strategy": strategy},
            "opts": self.opts,
            "strategy": strategy,
            "one": one,
            "params": pretty(one.params),
            **self.version_rights(request, strategy, one),
        }
        return TemplateResponse(request, "storage_app/version.html", context)

    def version_rights(
        self, request: HttpRequest, strategy: Strategy, one: ParamVersion
    ) -> dict[str, bool]:
        """Tell what a version is and what may be done with it, for the template."""
        decision = getattr(one, "decision", None)
        is_usable = not one.needs_approval or (
            decision is not None and decision.outcome == DecisionOutcome.APPROVED
        )
        is_active = one.pk == strategy.active_version_id
        is_waiting = one.needs_approval and decision is None
        return {
            "is_active": is_active,
            "is_waiting": is_waiting,
            "is_rejected": decision is not None and not is_usable,
            "may_activate": is_usable
            and not is_active
            and self.has_change_permission(request, strategy),
            "may_decide": is_waiting and approvals.may_decide(signed_in(request), one),
            "may_save": self.has_save_params_permission(request),
        }

    def export_view(
        self, request: HttpRequest, object_id: str, version: int, form: str
    ) -> HttpResponse:
        strategy, one = self.found_version(request, object_id, version)
        if form not in list(Format):
            raise Http404
        text = parameter_texts.write(one.params, Format(form))
        name = quote(f"{strategy.strategy_code}_v{version}.{form}")
        return HttpResponse(
            text,
            content_type=f"{CONTENT_TYPES[Format(form)]}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def activate_view(self, request: HttpRequest, object_id: str, version: int) -> HttpResponse:
        strategy, one = self.found_version(request, object_id, version)
        if not self.has_change_permission(request, strategy):
            raise PermissionDenied
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
            details=_details(strategy, one),
        )
        return ask(self, request, question)

    def approve_view(self, request: HttpRequest, object_id: str, version: int) -> HttpResponse:
        strategy, one = self._for_decision(request, object_id, version)
        actor, name = of_request(request), strategy.strategy_name
        words = {"number": version, "strategy": strategy}
        question = Question(
            title=_("Approve version %(number)s: %(strategy)s") % words,
            explanation=_("It becomes the active version, which trading programs read."),
            button=_("Approve"),
            done=_("Version %(number)s of %(strategy)s is approved and active.") % words,
            back=self.page_of(strategy),
            act=lambda reason: approvals.decide(
                actor, name, version, DecisionOutcome.APPROVED, reason
            ),
            details=_details(strategy, one),
        )
        return ask(self, request, question)

    def reject_view(self, request: HttpRequest, object_id: str, version: int) -> HttpResponse:
        strategy, one = self._for_decision(request, object_id, version)
        actor, name = of_request(request), strategy.strategy_name
        words = {"number": version, "strategy": strategy}
        question = Question(
            title=_("Reject version %(number)s: %(strategy)s") % words,
            explanation=_("It stays in the history and can never be activated."),
            button=_("Reject"),
            done=_("Version %(number)s of %(strategy)s is rejected.") % words,
            back=self.page_of(strategy),
            act=lambda reason: approvals.decide(
                actor, name, version, DecisionOutcome.REJECTED, reason
            ),
            is_dangerous=True,
            details=_details(strategy, one),
        )
        return ask(self, request, question)

    def _for_decision(
        self, request: HttpRequest, object_id: str, version: int
    ) -> tuple[Strategy, ParamVersion]:
        strategy, one = self.found_version(request, object_id, version)
        if not approvals.may_decide(signed_in(request), one):
            raise PermissionDenied
        return strategy, one

    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put two versions side by side; by default the two newest."""
        strategy = self.found(request, object_id)
        numbers = list(strategy.versions.order_by("-version").values_list("version", flat=True))
        newer = _number(request, "b", numbers[0] if numbers else 0)
        older = _number(request, "a", next((one for one in numbers if one < newer), newer))
        two = strategy.versions.filter(version__in=(older, newer)).in_bulk(field_name="pk")
        sides = {one.version: one for one in two.values()}
        if not self.has_view_versions_permission(request) or not {older, newer} <= sides.keys():
            raise Http404
        rows = side_by_side(sides[older].params, sides[newer].params)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Compare versions: %(strategy)s") % {"strategy": strategy},
            "opts": self.opts,
            "strategy": strategy,
            "numbers": numbers,
            "older": sides[older],
            "newer": sides[newer],
            "sides": (sides[older], sides[newer]),
            "rows": rows if "all" in request.GET else _without_same(rows),
            "counts": _counts(rows),
            "shows_all": "all" in request.GET,
        }
        return TemplateResponse(request, "storage_app/compare.html", context)


def _origin(request: HttpRequest, strategy: Strategy) -> ParamVersion | None:
    """Return the version that a new one starts from: asked for, or the active one."""
    text = request.POST.get("origin") or request.GET.get("from", "")
    if not text.isdecimal() or text == "0":
        return strategy.active_version
    found: ParamVersion | None = strategy.versions.filter(version=int(text)).first()
    if found is None:
        raise Http404
    return found


def _details(strategy: Strategy, one: ParamVersion) -> tuple[str, dict[str, Any]]:
    """Return what changes against the active version, for the page that asks."""
    active = strategy.active_version
    rows = _differing(active.params if active else {}, one.params)
    return "storage_app/parts/parameter_rows.html", {"rows": rows, "older": active, "newer": one}


def _differing(before: dict[str, Any], after: dict[str, Any] | None) -> list[Row]:
    return [] if after is None else _without_same(side_by_side(before, after))


def _without_same(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.kind != "same"]


def _counts(rows: list[Row]) -> dict[str, int]:
    kinds = ("added", "removed", "changed", "same")
    return {kind: sum(row.kind == kind for row in rows) for kind in kinds}


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else default
