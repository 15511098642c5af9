"""Where the pages read from, and what they do when a store does not answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from clickhouse_driver.errors import ErrorCodes, ServerException
from django.db import OperationalError
from django.http import HttpRequest

from storage_app.contract.errors import Unavailable
from storage_app.stores.compose import open_platform_store

if TYPE_CHECKING:
    from storage_app.contract.roles import DataStore
    from storage_app.models import User

logger = logging.getLogger(__name__)

# The server answers, but the database, its tables or our account on it are not there.
NOT_SET_UP = (
    ErrorCodes.UNKNOWN_DATABASE,
    ErrorCodes.UNKNOWN_TABLE,
    ErrorCodes.UNKNOWN_USER,
    ErrorCodes.WRONG_PASSWORD,
)


def signed_in(request: HttpRequest) -> User:
    """Return the user of a page behind the sign-in."""
    return cast("User", request.user)


@lru_cache(maxsize=1)
def platform_store() -> DataStore:
    """Return the one hybrid store of this web process."""
    return open_platform_store()


@contextmanager
def reading_clickhouse() -> Iterator[None]:
    """Raise Unavailable, as stores do, where ClickHouse cannot be reached or is not set up."""
    # Brings pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app.stores.clickhouse import translating

    try:
        with translating():
            yield
    except OperationalError as exc:
        # Django wraps the wrapper of the driver's own error, which alone tells what happened.
        told = exc.__cause__.args[0] if exc.__cause__ and exc.__cause__.args else None
        if not isinstance(told, Exception):
            raise
        with _saying_what_is_missing(), translating():
            raise told from exc
    except ServerException as exc:
        with _saying_what_is_missing():
            raise exc from None


@contextmanager
def _saying_what_is_missing() -> Iterator[None]:
    try:
        yield
    except ServerException as exc:
        if exc.code not in NOT_SET_UP:
            raise
        logger.warning("ClickHouse is not set up: %s", exc)
        raise Unavailable("clickhouse", f"not set up, code {exc.code}") from exc
