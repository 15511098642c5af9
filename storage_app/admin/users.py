"""Users and groups: who may sign in, in which role, and with which accounts."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm

from storage_app.admin import figures
from storage_app.admin.confirm import Question, ask
from storage_app.admin.records import AuditedAdmin, ReadOnlyAdmin
from storage_app.admin.sources import signed_in
from storage_app.admin.user_forms import (
    NewUserForm,
    PlatformGroupForm,
    PlatformUserForm,
    role_name,
)
from storage_app.models import User
from storage_app.services import access
from storage_app.services.actors import of_request

# Whoever may set this could give themselves everything.
SUPERUSER_FIELDS = ("is_superuser",)


@admin.register(User)
class PlatformUserAdmin(AuditedAdmin, UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = PlatformUserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "real_name",
        "roles",
        "state_badge",
        "last_login",
        "last_login_ip",
        "granted_accounts",
    )
    list_filter = (
        ("groups", RelatedDropdownFilter),
        ("is_active", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
    )
    list_filter_sheet = False
    search_fields = ("username", "real_name", "email")
    actions = None
    filter_horizontal = ()
    actions_detail = ("unlock",)
    fieldsets = (
        (None, {"fields": (("username", "real_name"), ("email", "password"))}),
        (
            _("Permissions"),
            {
                "fields": (
                    ("is_active", "is_staff", "is_superuser"),
                    "groups",
                    "granted_accounts",
                )
            },
        ),
        (_("Sign-in"), {"fields": (("last_login", "last_login_ip"), "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "real_name", "is_staff", "groups", "password1", "password2"),
            },
        ),
    )
    readonly_fields = ("last_login", "last_login_ip", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups", "account_grants__account")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if signed_in(request).is_superuser:
            return self.readonly_fields
        return (*self.readonly_fields, *SUPERUSER_FIELDS)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        is_superuser = isinstance(obj, User) and obj.is_superuser
        may_touch = signed_in(request).is_superuser or not is_superuser
        return may_touch and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Trades and audit entries name them; switching `active` off locks them out.
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "granted_accounts" in form.cleaned_data and self._may_grant(request):
            numbers = [one.account_id for one in form.cleaned_data["granted_accounts"]]
            access.set_grants(of_request(request), form.instance, numbers, "")

    def _may_grant(self, request: HttpRequest) -> bool:
        return signed_in(request).has_perm("storage_app.change_accountgrant")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        user = self.get_object(request, str(object_id))
        found = super().get_actions_detail(request, object_id)
        return found if user is not None and is_locked(user) else []

    @action(description=_("Unlock"), url_path="unlock", permissions=["change"], icon="lock_open")
    def unlock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user: User | None = self.get_object(request, object_id)
        if user is None:
            raise Http404
        actor, locked = of_request(request), user
        question = Question(
            title=str(_("Unlock %(user)s") % {"user": user}),
            explanation=_("Failed sign-ins are forgotten, so that the user may try again."),
            button=_("Unlock"),
            done=_("%(user)s may sign in again.") % {"user": user},
            back=reverse("admin:storage_app_user_change", args=[user.pk]),
            act=lambda reason: access.unlock(actor, locked, reason),
        )
        return ask(self, request, question)

    @display(description=_("roles"))
    def roles(self, user: User) -> str:
        names = [role_name(group.name) for group in user.groups.all()]
        return ", ".join(names) or (str(_("Superuser")) if user.is_superuser else figures.MISSING)

    @display(description=_("state"))
    def state_badge(self, user: User) -> str:
        if not user.is_active:
            return figures.badge(_("Inactive"))
        return figures.badge(_("Active"), "good")

    @display(description=_("sees"))
    def granted_accounts(self, user: User) -> str:
        numbers = [grant.account.account_id for grant in user.account_grants.all()]
        return ", ".join(numbers) or str(_("All accounts"))


def is_locked(user: User) -> bool:
    attempts = AccessAttempt.objects.filter(username=user.get_username())
    return attempts.filter(failures_since_start__gte=settings.AXES_FAILURE_LIMIT).exists()


for model in (Group, AccessAttempt, AccessFailureLog, AccessLog):
    admin.site.unregister(model)


@admin.register(Group)
class PlatformGroupAdmin(AuditedAdmin, GroupAdmin, ModelAdmin):
    form = PlatformGroupForm
    filter_horizontal = ()
    list_display = ("name", "role", "members")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).prefetch_related("user_set")

    @display(description=_("role"))
    def role(self, group: Group) -> str:
        return role_name(group.name)

    @display(description=_("members"))
    def members(self, group: Group) -> str:
        return ", ".join(user.get_username() for user in group.user_set.all()) or figures.MISSING


class FailedSignInAdmin(ReadOnlyAdmin):
    """Failed sign-ins since the last successful one; a locked user is unlocked on their page."""

    list_display = ("username", "ip_address", "attempt_time", "failures", "is_locked")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "user_agent", "attempt_time", "failures_since_start")

    @display(description=_("failures"), ordering="failures_since_start")
    def failures(self, attempt: AccessAttempt) -> int:
        return int(attempt.failures_since_start)

    @display(description=_("locked"))
    def is_locked(self, attempt: AccessAttempt) -> str:
        if attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT:
            return figures.badge(_("Locked"), "bad")
        return figures.badge(_("Open"))


admin.site.register(AccessAttempt, FailedSignInAdmin)
