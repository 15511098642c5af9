"""Run the same work in several processes with several threads each, all starting at once."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

PROCESSES = 8
THREADS = 2
_FORK = multiprocessing.get_context("fork")


def race(work, *, processes=PROCESSES, threads=THREADS):
    """Call `work(n)` once per thread of each process, n counting all; return the answers."""
    start = _FORK.Barrier(processes)
    answers = _FORK.SimpleQueue()
    children = [
        _FORK.Process(target=_run, args=(work, first * threads, threads, start, answers))
        for first in range(processes)
    ]
    for child in children:
        child.start()
    outcomes = [answers.get() for _ in children]
    for child in children:
        child.join()
    failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert not failures, failures
    return [answer for outcome in outcomes for answer in outcome]


def _run(work, first, threads, start, answers):
    together = threading.Barrier(threads)

    def call(number):
        together.wait()
        return work(number)

    try:
        start.wait()
        with ThreadPoolExecutor(threads) as pool:
            answers.put(list(pool.map(call, range(first, first + threads))))
    except BaseException as exc:
        answers.put(f"{type(exc).__name__}: {exc}")
        raise
