"""Fields of the filters above lists."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput

# A list narrowed by anything but dates goes back this far.
DEFAULT_SPAN = timedelta(days=366)


def day_field(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class CodeField(forms.CharField):
    """A code in any spelling; a bare number that is unambiguous will do."""

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        if not text:
            return ""
        try:
            return str(parse_code(text))
        except InvalidInput as exc:
            raise ValidationError(_("Not a stock code; write it like 600000.SH.")) from exc


def year_before(until: str) -> str:
    try:
        return (date.fromisoformat(until) - DEFAULT_SPAN).isoformat()
    except (ValueError, OverflowError):
        return ""
