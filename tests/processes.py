"""Several processes that do the same thing at the same moment, each in several threads.

`children` starts the processes once per test run; `race` lets them all go together:

    outcomes = children.race(save_params, "Alpha", threads=4)

The function is found by its module, so it must be defined at the top of one, and gets a serial
number of its own after the arguments. Django in the children uses the test databases.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

PROCESSES = 8
START_TIMEOUT = 60

_start: Any = None


@dataclass(frozen=True)
class Outcome:
    """What one call came to: its value, or the name and the text of the error it raised."""

    value: Any = None
    error: str = ""
    message: str = ""


class Children:
    def __init__(self, database_names: dict[str, Any]) -> None:
        # Not forked from here: they inherit no connection and no lock. What takes long to load is
        # loaded once, in the process that they are forked from.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.preloaded"])
        self._pool = ProcessPoolExecutor(
            PROCESSES, context, _prepare, (context.Barrier(PROCESSES), database_names)
        )

    def race(
        self, function: Callable[..., Any], *arguments: Any, threads: int = 2
    ) -> list[Outcome]:
        """Call function(*arguments, serial) in PROCESSES × threads at once; order is unknown."""
        jobs = [
            self._pool.submit(_run, function, arguments, range(n * threads, (n + 1) * threads))
            for n in range(PROCESSES)
        ]
        return [outcome for job in jobs for outcome in job.result()]

    def close(self) -> None:
        self._pool.shutdown()


def _prepare(start: Any, database_names: dict[str, Any]) -> None:
    global _start
    from django.db import connections

    from tests import preloaded  # noqa: F401, in case that the preloading failed

    for alias, name in database_names.items():
        connections.settings[alias]["NAME"] = name
    _start = start


def _run(function: Callable[..., Any], arguments: tuple[Any, ...], serials: range) -> list[Outcome]:
    from django.db import connections

    ready = threading.Barrier(len(serials), action=lambda: _start.wait(START_TIMEOUT))

    def call(serial: int) -> Outcome:
        ready.wait(START_TIMEOUT)
        try:
            return Outcome(function(*arguments, serial))
        except Exception as exc:  # noqa: BLE001, the test judges what it was
            return Outcome(error=type(exc).__name__, message=str(exc))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(serials)) as threads:
        return list(threads.map(call, serials))


@pytest.fixture(scope="session")
def children(django_db_setup):
    """PROCESSES interpreters with Django on the test databases; see `Children.race`."""
    from django.db import connections

    group = Children({alias: connections[alias].settings_dict["NAME"] for alias in connections})
    yield group
    group.close()
