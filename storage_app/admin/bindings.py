"""Strategy bindings: which strategy works in which account with how much of its capital."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesRadioFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from storage_app.admin import figures
from storage_app.admin.confirm import Question, ask, reason_field
from storage_app.admin.records import ServiceAdmin
from storage_app.admin.sources import signed_in
from storage_app.models import AccountStrategy, BindingStatus
from storage_app.services import bindings
from storage_app.services.access import restrict_accounts, visible_accounts
from storage_app.services.actors import of_request

STATUS_TONES = {BindingStatus.ACTIVE.value: "good", BindingStatus.PAUSED.value: "warn"}


class BindingForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = reason_field()

    class Meta:
        model = AccountStrategy
        fields = ("account", "strategy", "allocated_capital", "risk_limit")


class AccountFilter(RelatedDropdownFilter):
    """Offers the accounts that the user may see, and no others."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(account.pk, str(account)) for account in visible_accounts(signed_in(request))]


@admin.register(AccountStrategy)
class BindingAdmin(ServiceAdmin):
    form = BindingForm
    list_display = ("strategy", "account", "status_badge", "money_allocated", "num_risk_limit")
    list_filter = (
        ("account", AccountFilter),
        ("strategy", RelatedDropdownFilter),
        ("status", ChoicesRadioFilter),
    )
    list_select_related = ("account", "strategy")
    fields = (("account", "strategy"), ("allocated_capital", "risk_limit"), "reason")
    actions_detail = ("pause", "resume", "unbind")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountStrategy]:
        return restrict_accounts(super().get_queryset(request), signed_in(request))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "account":
            kwargs["queryset"] = visible_accounts(signed_in(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_readonly_fields(
        self, request: HttpRequest, obj: AccountStrategy | None = None
    ) -> tuple[str, ...]:
        return ("account", "strategy") if obj else ()

    def save_model(
        self, request: HttpRequest, obj: AccountStrategy, form: Any, change: bool
    ) -> None:
        actor, given = of_request(request), form.cleaned_data
        number, name = obj.account.account_id, obj.strategy.strategy_name
        if change:
            bindings.change(
                actor,
                number,
                name,
                given["reason"],
                allocated_capital=given["allocated_capital"],
                risk_limit=given["risk_limit"],
            )
            return
        made = bindings.bind(
            actor, number, name, given["allocated_capital"], given["risk_limit"], given["reason"]
        )
        obj.pk = made.pk

    def moves_of(self, row: AccountStrategy) -> Collection[str]:
        return ("pause" if row.status == BindingStatus.ACTIVE else "resume", "unbind")

    @action(description=_("Pause"), url_path="pause", permissions=["change"], icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy keeps its share of the account and stops using it.")
        return self._move(request, object_id, bindings.pause, _("Pause"), explanation)

    @action(description=_("Resume"), url_path="resume", permissions=["change"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy uses its share of the account again.")
        return self._move(request, object_id, bindings.resume, _("Resume"), explanation)

    @action(
        description=_("Unbind"),
        url_path="unbind",
        permissions=["unbind"],
        icon="link_off",
    )
    def unbind(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The strategy leaves the account; its share is free again.")
        return self._move(request, object_id, bindings.unbind, _("Unbind"), explanation)

    def has_unbind_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.delete_accountstrategy")

    def _move(
        self, request: HttpRequest, object_id: str, act: Any, verb: Promise, explanation: Promise
    ) -> HttpResponse:
        binding = self.found(request, object_id)
        actor = of_request(request)
        number, name = binding.account.account_id, binding.strategy.strategy_name
        question = Question(
            title=f"{verb}: {binding}",
            explanation=explanation,
            button=verb,
            done=_("%(verb)s: done.") % {"verb": verb},
            back=reverse("admin:storage_app_accountstrategy_changelist"),
            act=lambda reason: act(actor, number, name, reason),
            is_dangerous=act is bindings.unbind,
        )
        return ask(self, request, question)

    @display(description=_("status"), ordering="status")
    def status_badge(self, binding: AccountStrategy) -> str:
        return figures.badge(binding.get_status_display(), STATUS_TONES[binding.status])

    @display(description=_("allocated capital"), ordering="allocated_capital")
    def money_allocated(self, binding: AccountStrategy) -> str:
        return figures.money(binding.allocated_capital)

    @display(description=_("risk limit (%)"), ordering="risk_limit")
    def num_risk_limit(self, binding: AccountStrategy) -> str:
        return figures.money(binding.risk_limit)
