"""A person's own sign-in: second factor, recovery codes, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django_otp import login as remember_device
from unfold.widgets import UnfoldAdminTextInputWidget

from storage_app.admin.sources import signed_in
from storage_app.contract.errors import Conflict, InvalidInput, StorageError
from storage_app.services import second_factor, sessions
from storage_app.services.actors import of_request

Context = dict[str, Any]
CODE_ATTRIBUTES = {"autocomplete": "one-time-code", "autofocus": True, "maxlength": 20}


COMPLAINTS: Mapping[type[StorageError], Promise] = {
    second_factor.WrongCode: _("This code is wrong, too old or used already."),
    second_factor.TooSoon: _("Too many wrong codes; wait a little before the next."),
    Conflict: _("There is a second factor already; remove it before another is set up."),
}


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Verification code"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs=CODE_ATTRIBUTES),
        help_text=_("Six digits from the app, or a recovery code."),
    )


def locked_page(
    request: HttpRequest, response: HttpResponse | None = None, *args: Any, **kwargs: Any
) -> HttpResponse:
    """Tell of the lock in the look of the sign-in (AXES_LOCKOUT_CALLABLE)."""
    page = {**admin.site.each_context(request), "title": _("Locked")}
    return render(request, "storage_app/locked.html", page, status=429)


def security_page(request: HttpRequest, context: Context) -> HttpResponse:
    user = signed_in(request)
    return TemplateResponse(
        request,
        "storage_app/security.html",
        {
            **context,
            "title": _("Sign-in and security"),
            "standing": second_factor.standing_of(user),
            "codes_left": second_factor.codes_left(user),
            "sessions": list(sessions.of_user(user)),
            "this_session": request.session.session_key,
            "form": CodeForm(prefix="remove"),
        },
    )


@never_cache
@sensitive_post_parameters("code")
def check_page(request: HttpRequest, context: Context) -> HttpResponse:
    """Ask for the code after the password, and lead on to where the person was going."""
    user = signed_in(request)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            device = second_factor.verify(user, form.cleaned_data["code"])
        except InvalidInput as exc:
            form.add_error("code", explain(exc))
        else:
            remember_device(request, device)
            # A session from before the code must be worth nothing after it.
            request.session.cycle_key()
            return HttpResponseRedirect(_next(request))
    page = {**context, "title": _("Second factor"), "form": form, "next": _next(request)}
    return TemplateResponse(request, "storage_app/second_factor_check.html", page)


@never_cache
@sensitive_post_parameters("code")
def setup_page(request: HttpRequest, context: Context) -> HttpResponse:
    """Show the secret to an app, and put it at work once the app's code is right."""
    user, codes = signed_in(request), []
    try:
        device = second_factor.begin(user)
    except StorageError as exc:
        messages.error(request, explain(exc))
        return HttpResponseRedirect(reverse("admin:security"))
    form = CodeForm(request.POST or None)
    form.fields["code"].help_text = _("Six digits.")
    if request.method == "POST" and form.is_valid():
        try:
            codes = second_factor.confirm(of_request(request), user, form.cleaned_data["code"])
        except StorageError as exc:
            form.add_error("code", explain(exc))
        else:
            device.refresh_from_db()
            remember_device(request, device)
            request.session.cycle_key()
            return _show_codes(request, context, codes)
    page = {
        **context,
        "title": _("Set up the second factor"),
        "form": form,
        # Made by the library from our own secret.
        "picture": mark_safe(second_factor.picture_of(device)),  # noqa: S308
        "secret": second_factor.secret_of(device),
        "is_required": second_factor.standing_of(user).is_required,
    }
    return TemplateResponse(request, "storage_app/second_factor_setup.html", page)


@require_POST
def renew_codes(request: HttpRequest, context: Context) -> HttpResponse:
    user = signed_in(request)
    if not second_factor.standing_of(user).is_set_up:
        return HttpResponseRedirect(reverse("admin:security"))
    return _show_codes(request, context, second_factor.renew_codes(of_request(request), user))


def _show_codes(request: HttpRequest, context: Context, codes: list[str]) -> HttpResponse:
    page = {**context, "title": _("Recovery codes"), "codes": codes}
    return TemplateResponse(request, "storage_app/recovery_codes.html", page)


@require_POST
def remove_second_factor(request: HttpRequest, context: Context) -> HttpResponse:
    """Take the second factor away, for whoever still has it."""
    user = signed_in(request)
    form = CodeForm(request.POST, prefix="remove")
    try:
        if not form.is_valid():
            raise second_factor.WrongCode("no code")
        second_factor.verify(user, form.cleaned_data["code"])
        second_factor.remove(of_request(request), user)
    except StorageError as exc:
        messages.error(request, explain(exc))
    else:
        messages.success(request, _("The second factor is removed."))
    return HttpResponseRedirect(reverse("admin:security"))


@require_POST
def end_sessions(request: HttpRequest, context: Context) -> HttpResponse:
    """End one of one's sessions, or all but this one."""
    handle = request.POST.get("handle", "")
    ended = sessions.end(
        of_request(request),
        signed_in(request),
        handles=frozenset({handle}) if handle else None,
        except_key=request.session.session_key or "",
    )
    messages.success(request, _("Sessions ended: %(number)s") % {"number": ended})
    return HttpResponseRedirect(reverse("admin:security"))


def explain(exc: StorageError) -> str:
    """Return what is wrong with a code in the reader's language."""
    for kind, words in COMPLAINTS.items():
        if isinstance(exc, kind):
            return str(words)
    return str(exc)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("admin:index")
