"""Bring what a host owes to its servers, whoever left it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from storage_app.stores import outages
from storage_app.stores.compose import open_platform_store
from storage_app.stores.outages import Owed
from storage_app.stores.outbox import Outbox, open_outbox

# A server that takes nothing for so long is down.
STEP_SECONDS: Final = 5.0


def drain(data_dir: Path, timeout: float) -> dict[str, Owed]:
    """Work for at most `timeout` seconds, less if nothing moves; return what is owed then.

    Whoever is responsible hears of writes that are owed for more than a minute.
    """
    directory = data_dir / "journal"
    if outages.has_work(directory):
        _drain(data_dir, timeout)
    left = outages.owed(directory)
    outages.tell_owed({kind: (one.count, one.age) for kind, one in left.items()})
    return left


def _drain(data_dir: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    store = open_platform_store(data_dir)
    hold = open_outbox(data_dir / "journal")
    try:
        before = _count(hold.outbox)
        while not hold.outbox.drain_all(min(STEP_SECONDS, timeout)):
            left = _count(hold.outbox)
            if left >= before or time.monotonic() > deadline:
                break
            before = left
    finally:
        hold.close()
        store.close()


def _count(outbox: Outbox) -> int:
    return sum(count for count, _ in outbox.counts().values())
