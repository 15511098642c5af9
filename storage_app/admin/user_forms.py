"""Forms of users and groups; roles and permissions are named in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth.models import Group, Permission
from django.utils.functional import Promise
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.forms import UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelect2MultipleWidget, UnfoldBooleanSwitchWidget

from storage_app.models import Account
from storage_app.services import access

# Seeded by migration; a group that somebody adds has the name it was given.
ROLES: Mapping[str, Promise] = {
    "admin": _("Administrator"),
    "developer": _("Strategy developer"),
    "trader": _("Trader"),
    "viewer": _("Viewer"),
}
VERBS: Mapping[str, Promise] = {
    "add": _("Add %(name)s"),
    "change": _("Change %(name)s"),
    "delete": _("Delete %(name)s"),
    "view": _("View %(name)s"),
}
# The name in the database is that of the day it was made, in English.
OWN_PERMISSIONS: Mapping[str, Promise] = {
    "execute_trade": _("Can record trades and move positions"),
    "govern_strategy": _("Can require or lift approval by a second person"),
    "add_paramdecision": _("Can approve and reject parameter versions of others"),
}
# Only what a page of this platform asks for.
GRANTABLE_APPS = ("auth", "axes", "django_celery_beat", "django_celery_results")
OWN_APPS = ("storage_app", "trades_app")


def role_name(group: str) -> str:
    return str(ROLES.get(group, group))


class RolesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    widget = UnfoldAdminSelect2MultipleWidget

    def label_from_instance(self, obj: Any) -> str:
        return role_name(obj.name)


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    widget = UnfoldAdminSelect2MultipleWidget

    def label_from_instance(self, obj: Any) -> str:
        if obj.codename in OWN_PERMISSIONS:
            return str(OWN_PERMISSIONS[obj.codename])
        verb = VERBS.get(obj.codename.partition("_")[0])
        return str(verb) % {"name": obj.content_type.name} if verb else translate(obj.name)


def grantable() -> Any:
    kinds = Permission.objects.select_related("content_type")
    return kinds.filter(content_type__app_label__in=GRANTABLE_APPS + OWN_APPS)


class PlatformUserForm(UserChangeForm):
    groups = RolesField(label=_("roles"), queryset=Group.objects.all(), required=False)
    granted_accounts = forms.ModelMultipleChoiceField(
        label=_("Granted accounts"),
        queryset=Account.objects.all(),
        required=False,
        widget=UnfoldAdminSelect2MultipleWidget,
        help_text=_("The user sees these accounts only. None chosen: all accounts."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        grants = self.instance.account_grants.values_list("account_id", flat=True)
        self.fields["granted_accounts"].initial = list(grants)


class NewUserForm(UserCreationForm):
    groups = RolesField(label=_("roles"), queryset=Group.objects.all(), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever is made here is meant to sign in here.
        self.fields["is_staff"].initial = True


class PlatformGroupForm(forms.ModelForm):  # type: ignore[type-arg]
    permissions = PermissionsField(
        label=_("permissions"), queryset=Permission.objects.none(), required=False
    )

    requires_second_factor = forms.BooleanField(
        label=_("Members need a second factor"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_(
            "They set it up at their next page. What is asked of administrators is asked of "
            "superusers too."
        ),
    )

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["requires_second_factor"].initial = (
            self.instance.pk is not None and access.requires_second_factor(self.instance)
        )
        self.fields["permissions"].queryset = grantable()  # type: ignore[attr-defined]
