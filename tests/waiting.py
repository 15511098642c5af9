"""Waiting for what must come to pass, however loaded the machine is."""

from __future__ import annotations

import time

PATIENCE = 60.0


def wait_for(condition, seconds=PATIENCE, pause=0.01):
    """Return the first true answer of `condition()`; fail when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(pause)
    return answer
