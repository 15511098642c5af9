"""Fields of the filters above lists."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from storage_app.admin import numbers
from storage_app.models import User
from storage_app.services.access import visible_accounts

# A list narrowed by anything but dates goes back this far.
DEFAULT_SPAN = timedelta(days=366)


def day_field(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class AccountField(forms.ChoiceField):
    """One of the accounts that a user may see; its value is no account number, which is masked."""

    def __init__(self) -> None:
        super().__init__(label=_("Account"), required=False)
        self._numbers: dict[str, str] = {}

    def offer(self, user: User) -> None:
        accounts = list(visible_accounts(user))
        self._numbers = {str(one.pk): one.account_id for one in accounts}
        named = [(str(one.pk), numbers.title(user, one)) for one in accounts]
        self.choices = [("", _("All accounts")), *named]

    def clean(self, value: Any) -> str:
        """Return the number of the chosen account, empty for all of them."""
        return self._numbers.get(str(super().clean(value)), "")


def year_before(until: str) -> str:
    try:
        return (date.fromisoformat(until) - DEFAULT_SPAN).isoformat()
    except (ValueError, OverflowError):
        return ""
