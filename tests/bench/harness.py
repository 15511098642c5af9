"""Time what the platform does beside what raw drivers and other stores need for the same work.

All candidates of a case take turns within each round, so that a busy machine slows them alike:
trust the ratios, not the milliseconds. The first candidate of a case is the platform, the
second the raw driver that ratios refer to.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs" / "bench"


@dataclass(frozen=True)
class Timing:
    """Seconds of each round, sorted."""

    label: str
    seconds: list[float]

    def at(self, share: float) -> float:
        return self.seconds[min(int(len(self.seconds) * share), len(self.seconds) - 1)]

    @property
    def median(self) -> float:
        return self.at(0.5)


@dataclass(frozen=True)
class Case:
    """One piece of work, done by several candidates.

    `goal` is the wanted ratio to the second one, taken at the `share` of the slowest rounds.
    """

    name: str
    timings: list[Timing]
    goal: str = ""
    share: float = 0.5


def measure(
    name: str,
    candidates: dict[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 2,
    goal: str = "",
) -> Case:
    """Run each candidate once per round, beginning with another one each time."""
    labels = list(candidates)
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    for number in range(-warm_up, rounds):
        turn = number % len(labels)
        for label in labels[turn:] + labels[:turn]:
            started = time.perf_counter()
            candidates[label]()
            elapsed = time.perf_counter() - started
            if number >= 0:
                seconds[label].append(elapsed)
    return Case(name, [Timing(label, sorted(seconds[label])) for label in labels], goal)


def as_markdown(cases: list[Case]) -> str:
    lines = [
        "| work | candidate | p50 ms | p95 ms | p99 ms | ratio to raw | goal |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for case in cases:
        raw = case.timings[1].at(case.share)
        for place, timing in enumerate(case.timings):
            figures = " | ".join(f"{timing.at(share) * 1000:.3f}" for share in (0.5, 0.95, 0.99))
            name, goal = (case.name, case.goal) if place == 0 else ("", "")
            lines.append(
                f"| {name} | {timing.label} | {figures} | {timing.at(case.share) / raw:.2f} "
                f"| {goal} |"
            )
    return "\n".join(lines)


def machine() -> str:
    """Return one line on where the figures come from."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    load = (
        f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    )
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}{load}."
    )


def write_report(name: str, title: str, notes: str, cases: list[Case]) -> Path:
    DOCS.mkdir(parents=True, exist_ok=True)
    path = DOCS / f"{name}.md"
    path.write_text(f"# {title}\n\n{notes}\n\nMachine: {machine()}\n\n{as_markdown(cases)}\n")
    return path
