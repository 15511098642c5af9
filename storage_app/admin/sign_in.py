"""Between the password and the pages: the second factor, asked for before anything is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseRedirect
from django.urls import reverse

from storage_app.admin.database_outage import outage_page
from storage_app.admin.sources import signed_in
from storage_app.services import second_factor, sessions

# What a person may reach who has given a password and no code yet.
OPEN_PAGES: Final = frozenset(
    {"admin:login", "admin:logout", "admin:jsi18n", "admin:second_factor_check", "set_language",
     "health"}
)  # fmt: skip


class SignInMiddleware:
    """Leads whoever has or needs a second factor to its page, from every other page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        try:
            return _ask(request)
        except (OperationalError, InterfaceError) as exc:
            # Never on to the view: nobody passes because the question could not be asked.
            answer = outage_page(request, exc)
            if answer is None:
                raise
            return answer


def _ask(request: HttpRequest) -> HttpResponse | None:
    """Return where a person must go first; None when nothing is asked of them."""
    match = request.resolver_match
    name = match.view_name if match else ""
    if name in OPEN_PAGES or not request.user.is_authenticated:
        return None
    sessions.touch(request)
    user = signed_in(request)
    if user.is_verified():  # type: ignore[attr-defined]
        return None
    standing = second_factor.standing_of(user)
    if standing.is_set_up:
        return _lead(request, "admin:second_factor_check")
    if standing.is_required and name != "admin:second_factor_setup":
        return _lead(request, "admin:second_factor_setup")
    return None


def _lead(request: HttpRequest, name: str) -> HttpResponse:
    if request.method != "GET":
        return HttpResponseForbidden()
    query = urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(f"{reverse(name)}?{query}")
