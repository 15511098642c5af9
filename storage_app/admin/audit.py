"""The audit trail: searched, filtered, read; never written here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RangeDateTimeFilter,
    TextFilter,
)
from unfold.decorators import display

from storage_app.admin import figures
from storage_app.admin.csv_answers import csv_answer
from storage_app.admin.records import ReadOnlyAdmin
from storage_app.admin.sources import signed_in
from storage_app.models import (
    Account,
    AccountGrant,
    AccountStrategy,
    AuditAction,
    AuditEntry,
    ParamVersion,
    Report,
    RolePolicy,
    Strategy,
    TradeConflict,
    User,
)
from storage_app.services.access import restrict_accounts
from trades_app.market import clock
from trades_app.models import Trade

EXPORTED = (
    "at", "actor", "action", "entity", "entity_key", "account_id", "before", "after", "reason",
    "origin",
)  # fmt: skip
EXPORT_BATCH = 1000

TONES = {
    AuditAction.CREATE.value: "good",
    AuditAction.CHANGE.value: "info",
    AuditAction.DELETE.value: "bad",
    AuditAction.ACTIVATE.value: "info",
    AuditAction.STATUS.value: "warn",
    AuditAction.REPAIR.value: "warn",
    AuditAction.APPROVE.value: "good",
    AuditAction.REJECT.value: "bad",
}
# By the name that an entry keeps; a model may be gone one day.
MODELS: Mapping[str, type[Model]] = {
    str(model._meta.model_name): model
    for model in (
        Account,
        AccountGrant,
        AccountStrategy,
        Group,
        ParamVersion,
        RolePolicy,
        Report,
        Strategy,
        TradeConflict,
        User,
    )
}
# A decision on a conflict tells what it changed in the ledger.
ALSO_TOLD: Mapping[str, type[Model]] = {str(TradeConflict._meta.model_name): Trade}
# What entries tell beside columns.
FACTS: Mapping[str, Promise] = {
    "active_version": _("active parameter version"),
    "decision": _("decision"),
    "failed_sign_ins_forgotten": _("failed sign-ins forgotten"),
    "password": _("password"),
    "recovery_codes": _("recovery codes"),
    "second_factor": _("second factor"),
    "sessions_ended": _("sessions ended"),
    "snapshots": _("daily snapshots"),
    "source": _("source"),
}
ENTITIES = {name: model._meta.verbose_name for name, model in MODELS.items()}


class EntityFilter(DropdownFilter):
    title = _("entity")
    parameter_name = "entity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ENTITIES.items())

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(entity=self.value()) if self.value() else rows


class ActorFilter(TextFilter):
    title = _("who")
    parameter_name = "actor"

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(actor__icontains=self.value()) if self.value() else rows


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        "actor",
        "action_badge",
        "entity_name",
        "entity_key",
        "what",
        "reason",
        "origin",
    )
    list_filter = (
        ("action", ChoicesDropdownFilter),
        EntityFilter,
        ActorFilter,
        ("at", RangeDateTimeFilter),
    )
    list_filter_submit = True
    search_fields = ("entity_key", "account_id", "reason", "actor")
    list_fullwidth = True
    fields = (
        ("at", "actor"),
        ("action", "entity"),
        ("entity_key", "account_id"),
        ("reason", "origin"),
    )
    show_full_result_count = False
    change_form_template = "storage_app/audit_entry.html"
    list_before_template = "storage_app/parts/audit_export.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return restrict_accounts(super().get_queryset(request), signed_in(request))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [
            path("export/", view, name="storage_app_auditentry_export"),
            *super().get_urls(),
        ]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Send the entries that the list shows under these filters, all of them, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            entries = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:storage_app_auditentry_changelist"))
        columns = [AuditEntry._meta.get_field(name) for name in EXPORTED]
        header = [getattr(column, "verbose_name", column.name) for column in columns]
        day = clock.today().isoformat()
        return csv_answer(f"audit_{day}.csv", header, _exported(entries))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        shown = {} if entry is None else {"entry": entry, "rows": differences(entry)}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @display(description=_("action"), ordering="action")
    def action_badge(self, entry: AuditEntry) -> str:
        return figures.badge(entry.get_action_display(), TONES.get(entry.action, ""))

    @display(description=_("entity"), ordering="entity")
    def entity_name(self, entry: AuditEntry) -> Any:
        return ENTITIES.get(entry.entity, entry.entity)

    @display(description=_("what"))
    def what(self, entry: AuditEntry) -> str:
        names = sorted(key for key, _before, _after, _kind in differences(entry))
        text = ", ".join(names)
        return text if len(text) <= 60 else f"{text[:59]}…"


def _exported(entries: QuerySet[AuditEntry]) -> Iterator[list[str]]:
    """Yield the columns of each entry, newest first, a bounded number in memory at a time."""
    newest_first = entries.order_by("-pk")
    batch = list(newest_first[:EXPORT_BATCH])
    while batch:
        for entry in batch:
            yield [_exported_cell(getattr(entry, name)) for name in EXPORTED]
        batch = list(newest_first.filter(pk__lt=batch[-1].pk)[:EXPORT_BATCH])


def _exported_cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, datetime):
        return clock.in_shanghai(value).isoformat(sep=" ", timespec="milliseconds")
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def label_of(entity: str, key: str) -> str:
    """Return what a form calls the column; its name where no model knows it any more."""
    if key in FACTS:
        return capfirst(str(FACTS[key]))
    for model in (MODELS.get(entity), ALSO_TOLD.get(entity)):
        if model is not None:
            try:
                column = model._meta.get_field(key)
            except FieldDoesNotExist:
                continue
            return capfirst(str(getattr(column, "verbose_name", key)))
    return key


def differences(entry: AuditEntry) -> list[tuple[str, str, str, str]]:
    """Return label, before, after and kind of change (added, removed, changed) of an entry."""
    before, after = entry.before or {}, entry.after or {}
    rows = []
    for key in sorted(before.keys() | after.keys()):
        kind = "changed"
        if key not in before:
            kind = "added"
        elif key not in after:
            kind = "removed"
        rows.append(
            (label_of(entry.entity, key), _text(before.get(key)), _text(after.get(key)), kind)
        )
    return rows


def _text(value: Any) -> str:
    if value is None:
        return figures.MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
