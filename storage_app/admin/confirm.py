"""A page that asks for a reason before a change, and makes the change on POST only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from storage_app.contract.errors import StorageError

REASON_LENGTH = 200


def reason_field(*, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        required=required,
        max_length=REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept in the audit trail."),
    )


class ReasonForm(forms.Form):
    reason = reason_field()


@dataclass(frozen=True, slots=True)
class Question:
    """What is about to happen, in words; `act` makes it happen with the reason given."""

    title: str
    explanation: str | Promise
    button: str | Promise
    done: str | Promise
    back: str
    act: Callable[[str], Any]
    is_dangerous: bool = False
    # A template to show below the explanation, and what it needs.
    details: tuple[str, Mapping[str, Any]] = ("", {})


def ask(model_admin: ModelAdmin[Any], request: HttpRequest, question: Question) -> HttpResponse:
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            question.act(form.cleaned_data["reason"])
        except StorageError as exc:
            form.add_error(None, str(exc))
        else:
            messages.success(request, str(question.done))
            return HttpResponseRedirect(question.back)
    template, details = question.details
    context = {
        **model_admin.admin_site.each_context(request),
        **details,
        "details_template": template,
        "title": question.title,
        "opts": model_admin.opts,
        "question": question,
        "form": form,
    }
    return TemplateResponse(request, "storage_app/confirm.html", context)
