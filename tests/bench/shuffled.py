"""Measure work of microseconds, where it matters whose caches the one before has left warm."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from tests.bench import harness
from tests.bench.harness import Case, Timing

SEED = 20260302


def measure(
    name: str,
    candidates: dict[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 2,
    goal: str = "",
    prepare: Callable[[], object] = lambda: None,
) -> Case:
    """Measure like the harness, but in a random order each round, after an untimed `prepare`."""
    chance = random.Random(SEED)
    seconds: dict[str, list[float]] = {label: [] for label in candidates}
    for number in range(-warm_up, rounds):
        prepare()
        order = dict(chance.sample(list(candidates.items()), len(candidates)))
        case = harness.measure(name, order, 1, warm_up=0)
        for timing in case.timings:
            if number >= 0:
                seconds[timing.label] += timing.seconds
    return Case(name, [Timing(label, sorted(seconds[label])) for label in candidates], goal)


def cores() -> str:
    """Return a sentence on where the processes of this run may compute."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Client and server shared {'one core' if count == 1 else f'{count} cores'}."
