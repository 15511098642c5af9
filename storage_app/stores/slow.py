"""Operations that take longer than a trading program should wait are logged."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from storage_app.contract.roles import KlineStore, PositionStore

logger = logging.getLogger(__name__)

# Seconds, by role.
_THRESHOLDS: Final[dict[type, float]] = {PositionStore: 0.001, KlineStore: 0.020}
_THRESHOLD: Final = 0.100


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
            if seconds > threshold:
                logger.info("%s took %.1f ms", name, seconds * 1000)

    return call
