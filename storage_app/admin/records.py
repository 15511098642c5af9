"""What the pages of our own records have in common: who may see them, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from storage_app.contract.errors import StorageError
from storage_app.models import AuditAction
from storage_app.services import audit
from storage_app.services.actors import of_request


class DecidingAdmin(ModelAdmin):
    """Rows with buttons that act on one of them after a question (see `confirm`)."""

    def moves_of(self, row: Any) -> Collection[str]:
        """Return the names of the actions that a row may take now."""
        return self.actions_detail

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of an address, 403 or 404 in place of one that nobody may see."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def page_of(self, row: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        row = self.get_object(request, str(object_id))
        wanted = () if row is None else self.moves_of(row)
        model = f"{self.opts.app_label}_{self.opts.model_name}_"
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.action_name.removeprefix(model) in wanted
        ]


class ReadOnlyAdmin(ModelAdmin):
    """Rows that are looked at and never touched, not even by a superuser."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ServiceAdmin(DecidingAdmin):
    """Rows that services write; what a service refuses comes back as a message.

    The last of `fields` is the reason, which only those who may change are asked for.
    """

    actions = None
    list_filter_sheet = False
    compressed_fields = True

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return self.fields[:-1]
        return self.fields

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"show_save_and_add_another": False} | (extra_context or {})
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except StorageError as exc:
            messages.error(request, str(exc))
            return HttpResponseRedirect(request.get_full_path())

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Lead to the audit trail, which knows what Django's own history does not."""
        row = self.get_object(request, object_id)
        if row is None:
            return super().history_view(request, object_id, extra_context)
        trail = reverse("admin:storage_app_auditentry_changelist")
        return HttpResponseRedirect(f"{trail}?entity={self.opts.model_name}&q={audit.key_of(row)}")


class AuditedAdmin(ModelAdmin):
    """Rows that Django's own forms write, with one audit entry for each save or deletion."""

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        stored: QuerySet[Any] = self.model.objects.filter(pk=obj.pk)
        form.values_before = audit.values_of(stored.get()) if change else None  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        actor, row = of_request(request), form.instance
        if form.values_before is None:
            audit.created(actor, row)
            return
        after = audit.values_of(row)
        if after != form.values_before:
            audit.record(actor, AuditAction.CHANGE, row, before=form.values_before, after=after)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.deleted(of_request(request), obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)
