"""Without the relational database nobody can be signed in; a page says so and what still works."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from storage_app.admin.health import read_health

logger = logging.getLogger(__name__)

# The client's own codes: no socket, no server, gone away, lost during a query.
SERVER_GONE: Final = (2002, 2003, 2006, 2013)
RETRY_SECONDS: Final = 5


class DatabaseOutageMiddleware:
    """Answers 503 where the database is gone; other errors of it are bugs and pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        return outage_page(request, exc)


def outage_page(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    """Return the page that tells of an outage, None where the error is none."""
    if not _tells_of_an_outage(exc):
        return None
    logger.warning("%s is not shown: %s", request.path, exc)
    # Not with the request, whose user and messages would be asked of the database again.
    text = render_to_string("storage_app/database_down.html", {"health": read_health()})
    return HttpResponse(text, status=503, headers={"Retry-After": str(RETRY_SECONDS)})


def _tells_of_an_outage(exc: Exception) -> bool:
    if isinstance(exc, OperationalError):
        return bool(exc.args) and exc.args[0] in SERVER_GONE
    return isinstance(exc, InterfaceError)
