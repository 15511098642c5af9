"""What hybrid mode costs while all is well, and what an outage adds."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage_app.contract.roles import DataStore
from storage_app.stores.compose import create_data_store
from storage_app.stores.journal import Journal
from tests import servers
from tests.bench.bench_journal import BODY
from tests.bench.bench_positions import CODES, OPENED_ON, book
from tests.bench.harness import ROOT, Case, Timing
from tests.bench.shuffled import cores, measure
from tests.faults import databases
from trades_app.market import clock

NOTES = (
    "One book of 100 positions in each mode, on the same Redis, in turns. The ratio of the first "
    "three cases is that of the medians to redis mode, which keeps no mirror and no journal; that "
    "of a trade is to the bare append and sync that acknowledges it. Outages begin with the first "
    "measured call, so that the timeout is among the figures; calls come every 4 ms, and the ratio "
    "is that of the 99th percentiles to the same calls before. MariaDB is up all the time. "
    f"{cores()}"
)
DIRECTORY = ROOT / "var" / "bench" / "hybrid"
HYBRID, REDIS = "55009728/hybrid", "55009728/redis"
ACCOUNT = "55009728"
PACE = 0.004
OUTAGE_CALLS = 1000


def run() -> list[Case]:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    databases.make()
    databases.empty_redis()
    hybrid = create_data_store("hybrid", {"data_dir": DIRECTORY})
    redis = create_data_store("redis")
    for store, name in ((hybrid, HYBRID), (redis, REDIS)):
        store.replace_positions(name, book(), OPENED_ON)
    cases = [held_days(hybrid, redis), positions(hybrid, redis), tick(hybrid, redis)]
    cases += [trade(hybrid)]
    cases += list(outages(hybrid))
    hybrid.close()
    shutil.rmtree(DIRECTORY)
    return cases


def held_days(hybrid: DataStore, redis: DataStore) -> Case:
    codes = itertools.cycle(CODES)
    return measure(
        "held days of one code",
        {
            "hybrid mode": lambda: hybrid.get_held_days(next(codes), HYBRID),
            "redis mode": lambda: redis.get_held_days(next(codes), REDIS),
        },
        2000,
        warm_up=100,
        goal="≤ 1.5",
    )


def positions(hybrid: DataStore, redis: DataStore) -> Case:
    return measure(
        "a book of 100 codes",
        {
            "hybrid mode": lambda: hybrid.get_positions(HYBRID),
            "redis mode": lambda: redis.get_positions(REDIS),
        },
        2000,
        warm_up=100,
        goal="≤ 1.5",
    )


def tick(hybrid: DataStore, redis: DataStore) -> Case:
    """Let each price move with each tick, which is what costs most."""
    highs = {store: itertools.count(60_000) for store in (HYBRID, REDIS)}

    def prices(name: str) -> dict[str, tuple[float, float]]:
        high = next(highs[name]) / 1000
        return dict.fromkeys(CODES, (high, 1.0))

    return measure(
        "a tick of 100 codes",
        {
            "hybrid mode": lambda: hybrid.raise_extremes(HYBRID, prices(HYBRID)),
            "redis mode": lambda: redis.raise_extremes(REDIS, prices(REDIS)),
        },
        400,
        warm_up=20,
        goal="≤ 2",
    )


def trade(hybrid: DataStore) -> Case:
    journal = Journal(DIRECTORY / "bare")
    case = measure(
        "one trade",
        {
            "hybrid mode": recorder(hybrid, "healthy"),
            "append to a journal": lambda: journal.append("trade", BODY),
        },
        1000,
        warm_up=50,
        goal="median ≤ 1 ms",
    )
    journal.close()
    return case


def outages(hybrid: DataStore) -> Iterator[Case]:
    reads = lambda: hybrid.get_positions(HYBRID)  # noqa: E731
    for name, trouble in (("killed", killed), ("frozen", frozen)):
        for work, server, call in (
            ("one trade", servers.CLICKHOUSE, recorder(hybrid, name)),
            ("a book of 100 codes", servers.REDIS, reads),
        ):
            before = paced(call, "healthy")
            with trouble(server):
                during = paced(call, "during the outage")
            await_recovery(hybrid)
            timings = [during, before]
            yield Case(f"{work}, {server.name} {name}", timings, "p99 ≤ 3 × healthy", 0.99)


def paced(call: Callable[[], object], label: str) -> Timing:
    """Measure calls as they come in trading, with pauses in which others may work."""
    seconds = []
    for _ in range(OUTAGE_CALLS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
        time.sleep(PACE)
    return Timing(label, sorted(seconds))


@contextmanager
def killed(server: servers.Server) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def frozen(server: servers.Server) -> Iterator[None]:
    server.freeze()
    yield
    server.thaw()


def await_recovery(store: DataStore) -> None:
    """Wait until everything is where it belongs, so that the next case begins well."""
    deadline = time.monotonic() + 60.0
    while set(store.health_check().values()) != {"ok"}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no recovery: {store.health_check()}")
        time.sleep(0.2)
    time.sleep(2.0)


def recorder(store: DataStore, name: str) -> Callable[[], object]:
    numbers = itertools.count()

    def record() -> str:
        number = next(numbers)
        return store.record_trade(
            ACCOUNT, clock.now(), CODES[0], "浦发银行", "buy_trade", "买入成交", "10.500", 100,
            trade_id=f"{name}-{number}",
        )  # fmt: skip

    return record
