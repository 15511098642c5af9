"""Operations that take longer than a trading program should wait are logged."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from storage_app.contract.roles import KlineStore, PositionStore

logger = logging.getLogger(__name__)

# Seconds, by role.
_THRESHOLDS: Final[dict[type, float]] = {PositionStore: 0.001, KlineStore: 0.020}
_THRESHOLD: Final = 0.100
# Arguments that say what a call was about.
_TELLING: Final = ("account_id", "code", "strategy_name")


def watched(role: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of a role so that a slow call is logged with its duration."""
    threshold = _THRESHOLDS.get(role, _THRESHOLD)
    name = method.__name__

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - started
            if seconds > threshold and logger.isEnabledFor(logging.INFO):
                subject = _subject(method, args, kwargs)
                logger.info("%s took %.1f ms", " ".join((name, *subject)), seconds * 1000)

    return call


def _subject(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """Return book, code and strategy of a call, as far as it has them."""
    try:
        given = inspect.signature(method).bind_partial(*args, **kwargs).arguments
    except TypeError:
        return []  # the call failed for the same reason
    return [str(given[name]) for name in _TELLING if name in given]
