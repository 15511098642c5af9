"""Sessions of people: where each was opened, when it was last used, and its end."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from storage_app.models import AuditAction, SignInSession, User
from storage_app.services import audit
from storage_app.services.actors import Actor, address
from storage_app.session_store import ORIGIN_KEY

# How exactly `seen_at` is kept; each step is a write.
SEEN_STEP = timedelta(minutes=5)
_SEEN_KEY = "_seen"


def remember(request: HttpRequest) -> None:
    """Keep with a session just opened where it comes from."""
    request.session[ORIGIN_KEY] = {
        "address": address(request),
        "user_agent": request.headers.get("User-Agent", "")[:200],
        "at": timezone.now().isoformat(),
    }


def touch(request: HttpRequest) -> None:
    """Keep that a session is in use, every few minutes."""
    now = timezone.now().timestamp()
    if now - request.session.get(_SEEN_KEY, 0) >= SEEN_STEP.total_seconds():
        request.session[_SEEN_KEY] = now


def of_user(user: User) -> QuerySet[SignInSession]:
    """Return the sessions with which a person is signed in, the latest used first."""
    open_ones = SignInSession.objects.filter(user=user, expire_date__gt=timezone.now())
    return open_ones.defer("session_data").order_by("-seen_at")


def end(
    actor: Actor,
    user: User,
    *,
    handles: frozenset[str] | None = None,
    except_key: str = "",
    reason: str = "",
) -> int:
    """End the sessions of these handles, None for all but `except_key`; return how many.

    A person may end their own; the caller asks whether they may end somebody else's.
    """
    with transaction.atomic():
        ended = [
            one.session_key
            for one in of_user(user)
            if one.session_key != except_key and (handles is None or one.handle in handles)
        ]
        SignInSession.objects.filter(session_key__in=ended).delete()
        if ended:
            after = {"sessions_ended": len(ended)}
            audit.record(actor, AuditAction.CHANGE, user, after=after, reason=reason)
    return len(ended)
