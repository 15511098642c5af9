"""Sessions in the relational database, each with the person it belongs to (SESSION_ENGINE)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

if TYPE_CHECKING:
    from storage_app.models import SignInSession

# Where `services.sessions` keeps what it knows of the sign-in.
ORIGIN_KEY = "_sign_in"


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[SignInSession]:
        # Django reads this module before its models are there.
        from storage_app.models import SignInSession

        return SignInSession

    def create_model_instance(self, data: Mapping[str, Any]) -> SignInSession:
        row: SignInSession = super().create_model_instance(dict(data))  # type: ignore[assignment]
        origin = data.get(ORIGIN_KEY, {})
        row.user_id = data.get(SESSION_KEY)
        row.address = origin.get("address")
        row.user_agent = origin.get("user_agent", "")
        at = origin.get("at")
        row.signed_in_at = at and datetime.fromisoformat(at)
        return row
