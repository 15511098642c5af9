"""One run per DATA_DIR: two servers on one data directory would destroy it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from silverquant_site.embedded.errors import StartFailed

# A killed run's servers get up to 10 s each to end, but hardly ever need one.
SECONDS_TO_WAIT = 30.0


def hold(path: Path) -> int:
    """Take the lock for as long as this process or its guard lives; return its descriptor."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not _try(lock):
        owner = os.pread(lock, 20, 0).decode().strip()
        if _is_alive(owner) or time.monotonic() > deadline:
            os.close(lock)
            raise StartFailed(f"the platform already runs on {path.parent} (process {owner})")
        time.sleep(0.1)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(owner: str) -> bool:
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
