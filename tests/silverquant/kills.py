"""The month of the example while its process and the servers die at moments drawn by lot.

python -m tests.silverquant --seed 1 --days 22 --kills 30
"""

from __future__ import annotations

import random
import time

from tests import servers
from tests.silverquant import month

TICKS = 4800
OUTAGE = 0.15  # of a day
PATIENCE = 600.0
NAMES = {"redis": servers.REDIS, "clickhouse": servers.CLICKHOUSE, "mysql": servers.MARIADB}


def draw(seed, days, kills, outages):
    """Return (place of the month, what happens) in order; a server is down for a while."""
    chance = random.Random(seed)
    events = [(chance.uniform(0, len(days)), "process", "kill") for _ in range(kills)]
    for name in outages:
        at = chance.uniform(0, len(days) - OUTAGE)
        events += [(at, name, "kill"), (at + OUTAGE, name, "start")]
    return [(_place(days, at), who, what) for at, who, what in sorted(events)]


def run(run_dir, data_dir, days, events):
    """Trade through all of it; return how many processes it took."""
    run_dir.mkdir(parents=True, exist_ok=True)
    process, started = month.start(run_dir, data_dir, "hybrid", len(days)), 1
    try:
        for place, who, what in events:
            if not _wait(process, run_dir, place):
                break  # traded past the last of them
            if who == "process":
                process.kill()
                process.wait()
                process, started = month.start(run_dir, data_dir, "hybrid", len(days)), started + 1
            else:
                getattr(NAMES[who], what)()
        _start_all()
        month.finish(process, run_dir)
    finally:
        _start_all()
        if process.poll() is None:
            process.kill()
            process.wait()
    return started


def _start_all():
    for server in NAMES.values():
        server.start()


def _place(days, at):
    day = min(int(at), len(days) - 1)
    return f"{days[day]} {int((at - day) * TICKS):05}"


def _wait(process, run_dir, place):
    """Wait until the market has come to a place; False if the process is done before."""
    deadline = time.monotonic() + PATIENCE
    cursor = run_dir / "cursor"
    while not cursor.exists() or cursor.read_text() < place:
        if process.poll() is not None:
            assert process.returncode == 0, (run_dir.parent / "output.log").read_text()[-3000:]
            return False
        assert time.monotonic() < deadline, f"the market never came to {place}"
        time.sleep(0.002)
    return True


def settle(store, seconds=60.0):
    """Wait until every server has what it is owed."""
    deadline = time.monotonic() + seconds
    while store.owed() or set(store.health_check().values()) != {"ok"}:
        assert time.monotonic() < deadline, (store.owed(), store.health_check())
        time.sleep(0.05)
