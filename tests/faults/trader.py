"""A trading program of its own, told what to do call by call.

    with Trader(data_dir, REDIS_PORT=proxy.port) as trader:
        answer = trader.call("get_positions", "55009728")

Settings are read once in a process, so whatever needs others than this one runs there.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
# Not as a module, whose classes would be those of another `__main__`.
PROGRAM = "from tests.faults import trader; trader.main()"
READY_SECONDS = 60.0
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What a call came to, and the seconds it took where it was made."""

    value: Any
    error: str
    message: str
    seconds: float


class Trader:
    def __init__(self, data_dir, **environment):
        # Not above: the program itself has to set Django up first.
        from tests.faults import databases

        ours, theirs = socket.socketpair()
        values = {name: str(value) for name, value in environment.items()}
        arguments = [str(theirs.fileno()), str(data_dir), json.dumps(databases.names())]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=ROOT,
            env={**os.environ, **values},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._pipe = Connection(ours.detach())
        self.opening = self._receive(READY_SECONDS)

    @property
    def pid(self):
        return self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def call(self, method, *args, **kwargs):
        """Return the answer of one call."""
        (answer,) = self.calls([(method, args, kwargs)])
        return answer

    def get(self, method, *args, **kwargs):
        """Return the value of a call that must not fail."""
        answer = self.call(method, *args, **kwargs)
        assert not answer.error, answer
        return answer.value

    def calls(self, calls):
        """Return the answers of calls that follow each other without a pause."""
        self.begin(calls)
        return self._receive(ANSWER_SECONDS)

    def begin(self, calls):
        """Have calls made without waiting for them, for a program that is killed meanwhile."""
        self._pipe.send(("calls", list(calls)))

    def log(self):
        """Return what the program has logged so far, as (level, text)."""
        self._pipe.send(("log", None))
        return self._receive(ANSWER_SECONDS)

    def _receive(self, seconds):
        assert self._pipe.poll(seconds), "the program does not answer"
        return self._pipe.recv()


def main():
    pipe = Connection(int(sys.argv[1]))
    data_dir, names = sys.argv[2], json.loads(sys.argv[3])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    from django.conf import settings

    for alias, name in names.items():
        settings.DATABASES[alias]["NAME"] = name
    records = _keep_log()
    from django.utils.module_loading import import_string

    from storage_app.stores.compose import MODES, create_data_store

    create_data_store("file", {"data_dir": data_dir}).close()  # sets Django up
    for path in MODES["hybrid"].values():
        import_string(path)  # whose time is not that of opening a store
    opening, store = _timed(create_data_store, "hybrid", {"data_dir": data_dir})
    pipe.send(opening)
    while (request := _next(pipe)) is not None:
        what, calls = request
        if what == "log":
            pipe.send([(record.levelname, record.getMessage()) for record in list(records)])
        else:
            pipe.send([_timed(getattr(store, name), *a, **k)[0] for name, a, k in calls])
    store.close()


def _next(pipe):
    try:
        return pipe.recv()
    except EOFError:
        return None


def _timed(function, *args, **kwargs):
    """Return the answer of a call as it may be sent, and its value as it is."""
    started = time.perf_counter()
    try:
        value = function(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001, the test judges what it was
        seconds = time.perf_counter() - started
        return Answer(None, type(exc).__name__, str(exc), seconds), None
    seconds = time.perf_counter() - started
    is_store = function.__name__ == "create_data_store"
    return Answer(None if is_store else value, "", "", seconds), value


def _keep_log():
    import logging

    class Kept(logging.Handler):
        def __init__(self):
            super().__init__()
            self.records = []

        def emit(self, record):
            self.records.append(record)

    kept = Kept()
    for name in ("storage_app", "trades_app"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(kept)
        logger.propagate = False
    return kept.records
