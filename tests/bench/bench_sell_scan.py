"""A whole sell scan, as a strategy makes it each second: read the state, widen the extremes."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

from django_redis import get_redis_connection

from storage_app import silverquant
from storage_app.silverquant import functions, hook, registry
from storage_app.stores.compose import create_data_store
from storage_app.stores.redis import book_key
from tests.bench.bench_positions import CODES, OPENED_ON, book
from tests.bench.harness import ROOT, Case
from tests.bench.shuffled import cores, measure
from tests.faults import databases
from tests.silverquant import scripts
from tests.silverquant.scripts import Held

NOTES = (
    "`update_max_prices` of `tools.utils_cache` over 100 positions with the quotes of a tick, in "
    "which as many prices set a new high as the case says. The platform is the replaced function "
    "in hybrid mode, journal and mirror included. Raw is one round trip of redis-py, which reads "
    "the same book (HGETALL of 100 fields) and does nothing with it. Files is the function as "
    "scripts have it, on JSON files that are read and rewritten whole, neither locked against "
    "other processes nor synced; scans come 50 ms apart. Goals: at most 2.5 raw round trips, and "
    f"files at least 5 times slower than the platform. {cores()}"
)
DIRECTORY = ROOT / "var" / "bench" / "sell_scan"
ACCOUNT = "55009728"
POSITIONS = [Held(code) for code in CODES]
LOW = 1.0
# A scan comes once a second; what the one before left to the background is done by then.
PAUSE = 0.05
Answer = tuple[dict[str, float], dict[str, Any]]


def run() -> list[Case]:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    databases.make()
    databases.empty_redis()
    store = create_data_store("hybrid", {"data_dir": DIRECTORY / "platform"})
    hook.install()
    scripts.load_tools()
    ours, files = scripts.Paths(DIRECTORY / "ours"), scripts.Paths(DIRECTORY / "files")
    silverquant.bind(ours.held, ACCOUNT, "scan")
    registry.use_store(store)
    store.replace_positions(f"{ACCOUNT}/scan", book(), OPENED_ON)
    for path in ("held", "max", "min"):
        document = functions.load_json(getattr(ours, path))
        functions.originals["save_json"](getattr(files, path), document)
    cases = [scan(ours, files, moved) for moved in (0, 3, 100)]
    hook.uninstall()
    registry.forget_all()
    store.close()
    shutil.rmtree(DIRECTORY)
    return cases


def scan(ours: scripts.Paths, files: scripts.Paths, moved: int) -> Case:
    redis, key = get_redis_connection("positions"), book_key(f"{ACCOUNT}/scan")
    highs = itertools.count(60_000 + moved * 100_000)
    tick: dict[str, dict[str, float]] = {}

    def next_tick() -> None:
        time.sleep(PAUSE)
        high = next(highs) / 1000
        for number, code in enumerate(CODES):
            tick[code] = {"high": high if number < moved else LOW, "low": LOW}

    return measure(
        f"sell scan, {moved} new highs",
        {
            "platform": scanner(functions.update_max_prices, tick, ours),
            "raw: one read of the book": lambda: redis.hgetall(key),
            "files": scanner(functions.originals["update_max_prices"], tick, files),
        },
        200,
        warm_up=20,
        goal="≤ 2.5",
        prepare=next_tick,
    )


def scanner(
    update: Callable[..., Answer], tick: dict[str, dict[str, float]], paths: scripts.Paths
) -> Callable[[], Answer]:
    lock = threading.Lock()
    return lambda: update(lock, tick, POSITIONS, "10:00", paths.max, paths.min, paths.held)
