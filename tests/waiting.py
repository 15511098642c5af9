"""Waiting for what must come to pass, however loaded the machine is."""

from __future__ import annotations

import time

PATIENCE = 60.0
TRIES = 4


def wait_for(condition, seconds=PATIENCE, pause=0.01):
    """Return the first true answer of `condition()`; fail when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(pause)
    return answer


def quickest(call, good_enough):
    """Return the answer of the quickest of a few calls and its seconds.

    Neighbours only ever make a call slower, so the quickest tells what the call itself takes;
    one that is `good_enough` ends the tries.
    """
    best = None
    for _ in range(TRIES):
        started = time.monotonic()
        answer = call()
        seconds = time.monotonic() - started
        if best is None or seconds < best[1]:
            best = answer, seconds
        if seconds < good_enough:
            break
    return best
