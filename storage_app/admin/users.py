"""Users and groups: who may sign in, in which role, and with which accounts."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Exists, Model, OuterRef, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
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
from storage_app.contract.errors import StorageError
from storage_app.models import AccountGrant, User
from storage_app.services import access, second_factor, sessions
from storage_app.services.access import restrict_accounts, visible_accounts
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
        "has_second_factor",
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
    actions_detail = ("unlock", "end_sessions", "reset_second_factor")
    change_form_outer_after_template = "storage_app/parts/user_security.html"
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
        rows = super().get_queryset(request).prefetch_related("groups")
        visible = AccountGrant.objects.select_related("account")
        limited = restrict_accounts(visible, signed_in(request))
        seen = Prefetch("account_grants", limited, to_attr="seen_grants")
        return rows.prefetch_related(seen).annotate(
            locked=Exists(_lockouts().filter(username=OuterRef("username"))),
            second_factor=Exists(TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)),
            num_grants=Count("account_grants", distinct=True),
        )

    def get_form(
        self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "granted_accounts" in form.base_fields:
            field: Any = deepcopy(form.base_fields["granted_accounts"])
            field.queryset = visible_accounts(signed_in(request))
            form.base_fields = form.base_fields | {"granted_accounts": field}
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if signed_in(request).is_superuser:
            return self.readonly_fields
        return (*self.readonly_fields, *SUPERUSER_FIELDS)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        may_touch = not isinstance(obj, User) or access.may_manage(signed_in(request), obj)
        return may_touch and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Trades and audit entries name them; switching `active` off locks them out.
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        actor = of_request(request)
        if not change:
            access.limit_alike(actor, form.instance)
        elif "granted_accounts" in form.changed_data and self._may_grant(request):
            numbers = [one.account_id for one in form.cleaned_data["granted_accounts"]]
            access.set_grants(actor, form.instance, numbers, "")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except StorageError as exc:
            messages.error(request, str(exc))
            return HttpResponseRedirect(request.get_full_path())

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if user is not None and self.has_change_permission(request, user):
            shown = {
                "person": user,
                "standing": second_factor.standing_of(user),
                "codes_left": second_factor.codes_left(user),
                "sessions": list(sessions.of_user(user)),
            }
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set a password as Django does, and write down that it was, never which."""
        with transaction.atomic():
            before = self.get_object(request, id)
            answer = super().user_change_password(request, id, form_url)
            after = self.get_object(request, id)
            if before is not None and after is not None and before.password != after.password:
                access.record_password(of_request(request), after)
        return answer

    def _may_grant(self, request: HttpRequest) -> bool:
        return signed_in(request).has_perm("storage_app.change_accountgrant")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        user = self.get_object(request, str(object_id))
        if user is None or not self.has_change_permission(request, user):
            return []
        wanted = {
            "unlock": user.locked,
            "end_sessions": sessions.of_user(user).exists(),
            "reset_second_factor": user.second_factor,
        }
        found = super().get_actions_detail(request, object_id)
        prefix = "storage_app_user_"
        return [one for one in found if wanted[one.action_name.removeprefix(prefix)]]

    def _managed(self, request: HttpRequest, object_id: str) -> User:
        user: User | None = self.get_object(request, object_id)
        if user is None:
            raise Http404
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        return user

    @action(description=_("Unlock"), url_path="unlock", permissions=["change"], icon="lock_open")
    def unlock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user, actor = self._managed(request, object_id), of_request(request)
        question = Question(
            title=str(_("Unlock %(user)s") % {"user": user}),
            explanation=_("Failed sign-ins are forgotten, so that the user may try again."),
            button=_("Unlock"),
            done=_("%(user)s may sign in again.") % {"user": user},
            back=reverse("admin:storage_app_user_change", args=[user.pk]),
            act=lambda reason: access.unlock(actor, user, reason),
        )
        return ask(self, request, question)

    @action(
        description=_("End all sessions"),
        url_path="end-sessions",
        permissions=["change"],
        icon="logout",
    )
    def end_sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user, actor = self._managed(request, object_id), of_request(request)
        here = (request.session.session_key or "") if user == request.user else ""
        question = Question(
            title=str(_("End all sessions of %(user)s") % {"user": user}),
            explanation=_("Each browser must sign in again; work that was not saved is lost."),
            button=_("End all sessions"),
            done=_("The sessions of %(user)s are ended.") % {"user": user},
            back=reverse("admin:storage_app_user_change", args=[user.pk]),
            act=lambda reason: sessions.end(actor, user, except_key=here, reason=reason),
            is_dangerous=True,
        )
        return ask(self, request, question)

    @action(
        description=_("Reset the second factor"),
        url_path="reset-second-factor",
        permissions=["change"],
        icon="phonelink_erase",
    )
    def reset_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user, actor = self._managed(request, object_id), of_request(request)
        question = Question(
            title=str(_("Reset the second factor of %(user)s") % {"user": user}),
            explanation=_(
                "For a lost phone. The password alone is enough until another is set up, so make "
                "sure who is asking."
            ),
            button=_("Reset the second factor"),
            done=_("%(user)s has no second factor any more.") % {"user": user},
            back=reverse("admin:storage_app_user_change", args=[user.pk]),
            act=lambda reason: second_factor.remove(actor, user, reason),
            is_dangerous=True,
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
        if user.locked:  # type: ignore[attr-defined]
            return figures.badge(_("Locked"), "bad")
        return figures.badge(_("Active"), "good")

    @display(description=_("second factor"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        return user.second_factor  # type: ignore[attr-defined]

    @display(description=_("sees"))
    def granted_accounts(self, user: User) -> str:
        """Name the accounts that the reader sees too, and tell of others only that they are."""
        if not user.num_grants:  # type: ignore[attr-defined]
            return str(_("All accounts"))
        numbers = [grant.account.account_id for grant in user.seen_grants]  # type: ignore[attr-defined]
        hidden = user.num_grants - len(numbers)  # type: ignore[attr-defined]
        return ", ".join([*numbers, *([str(_("others"))] if hidden else [])])


def _lockouts() -> QuerySet[AccessAttempt]:
    limit = settings.AXES_FAILURE_LIMIT
    return AccessAttempt.objects.filter(failures_since_start__gte=limit)


# The secrets of a second factor are for nobody's eyes.
for model in (Group, AccessAttempt, AccessFailureLog, AccessLog, TOTPDevice, StaticDevice):
    admin.site.unregister(model)


@admin.register(Group)
class PlatformGroupAdmin(AuditedAdmin, GroupAdmin, ModelAdmin):
    form = PlatformGroupForm
    filter_horizontal = ()
    list_display = ("name", "role", "members", "second_factor")
    list_select_related = ("policy",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).prefetch_related("user_set")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        required = form.cleaned_data["requires_second_factor"]
        access.require_second_factor(of_request(request), form.instance, required)

    @display(description=_("second factor"), boolean=True)
    def second_factor(self, group: Group) -> bool:
        policy = getattr(group, "policy", None)
        return policy is not None and policy.requires_second_factor

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
