"""Ask servers whether they are well, all at once and never for longer than wanted."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from django.db import connections

from storage_app.contract.errors import Unavailable

logger = logging.getLogger(__name__)

_Answers: TypeAlias = "queue.SimpleQueue[tuple[str, str]]"


def ask(pings: Mapping[str, Callable[[], None]], seconds: float) -> dict[str, str]:
    """Return what is wrong with each server that answered in time, "" for one that is well."""
    answers: _Answers = queue.SimpleQueue()
    for name, ping in pings.items():
        threading.Thread(
            target=_ask_one, args=(name, ping, answers), name=f"ping {name}", daemon=True
        ).start()
    found: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    for _ in pings:
        try:
            name, reason = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[name] = reason
    return found


def _ask_one(name: str, ping: Callable[[], None], answers: _Answers) -> None:
    try:
        ping()
    except Unavailable as exc:
        logger.info("%s", exc)
        answers.put((name, exc.reason or str(exc)))
    except Exception as exc:  # whoever asks wants to hear of the other servers all the same
        logger.exception("The ping of %s failed", name)
        answers.put((name, str(exc) or type(exc).__name__))
    else:
        answers.put((name, ""))
    finally:
        # Those of this thread, which ends here.
        connections.close_all()
