"""Positions: 10 accounts of 100 open positions each."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django_redis import get_redis_connection

from storage_app.contract.roles import DataStore
from storage_app.contract.types import PositionState
from storage_app.stores.compose import create_data_store
from storage_app.stores.redis import book_key
from tests import servers
from tests.bench import legacy_files
from tests.bench.harness import ROOT, Case
from tests.bench.shuffled import cores, measure
from trades_app.market import calendar, clock

NOTES = (
    "All calls go through `create_data_store(...)`, as a strategy makes them, and take turns "
    "through the accounts. Raw is redis-py on the same connection settings, with three plain "
    "hashes a book (held days, highest and lowest price) and the shortest Lua that does the same "
    "work on them atomically; the raw fill moves a volume once per trade id and knows nothing of "
    "opening, closing or overselling. The Redis server appends to its log and syncs it each "
    "second. Legacy is the JSON files of one strategy, read and rewritten whole, neither locked "
    "nor synced. File mode locks, syncs and replaces; its writes are measured after the others, "
    "beside plain files that are synced and replaced without a lock. "
    f"{cores()}"
)
ACCOUNTS = [f"5500{number:04d}" for number in range(10)]
CODES = [f"{600000 + number}.SH" for number in range(50)] + [
    f"{number + 1:06d}.SZ" for number in range(50)
]
DIRECTORY = ROOT / "var" / "bench" / "positions"
LEGACY = DIRECTORY / "legacy"
SYNCED = DIRECTORY / "synced"
OPENED_ON = date(2026, 2, 27)
FIRST_DAY = date(2026, 3, 2)
FILLED_AT = datetime.combine(FIRST_DAY, time(9, 31), clock.SHANGHAI)
PRICE = 50.0
FILL_CODE = CODES[0]

# KEYS: held days, highest, lowest prices. ARGV: code, high, low, and again.
RAW_EXTREMES = """
local codes = {}
for i = 1, #ARGV, 3 do codes[#codes + 1] = ARGV[i] end
local held = redis.call('HMGET', KEYS[1], unpack(codes))
local max = redis.call('HMGET', KEYS[2], unpack(codes))
local min = redis.call('HMGET', KEYS[3], unpack(codes))
local higher, lower = {}, {}
for n, code in ipairs(codes) do
    if held[n] then
        local high, low = ARGV[3 * n - 1], ARGV[3 * n]
        if not max[n] or tonumber(high) > tonumber(max[n]) then
            higher[#higher + 1] = code
            higher[#higher + 1] = high
        end
        if not min[n] or tonumber(low) < tonumber(min[n]) then
            lower[#lower + 1] = code
            lower[#lower + 1] = low
        end
    end
end
if #higher > 0 then redis.call('HSET', KEYS[2], unpack(higher)) end
if #lower > 0 then redis.call('HSET', KEYS[3], unpack(lower)) end
"""
RAW_EXTREMES_BY_CODE = """
for i = 1, #ARGV, 3 do
    local code, high, low = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if redis.call('HEXISTS', KEYS[1], code) == 1 then
        local max = redis.call('HGET', KEYS[2], code)
        if not max or tonumber(high) > tonumber(max) then
            redis.call('HSET', KEYS[2], code, high)
        end
        local min = redis.call('HGET', KEYS[3], code)
        if not min or tonumber(low) < tonumber(min) then
            redis.call('HSET', KEYS[3], code, low)
        end
    end
end
"""
RAW_INCREMENT = """
if redis.call('HGET', KEYS[1], '_inc_date') == ARGV[1] then return 0 end
local all, changes = redis.call('HGETALL', KEYS[1]), {'_inc_date', ARGV[1]}
for i = 1, #all, 2 do
    if all[i] ~= '_inc_date' then
        changes[#changes + 1] = all[i]
        changes[#changes + 1] = tonumber(all[i + 1]) + 1
    end
end
redis.call('HSET', KEYS[1], unpack(changes))
return 1
"""
# KEYS: held days, volumes, applied trade ids. ARGV: code, shares, trade id.
RAW_FILL = """
if redis.call('SADD', KEYS[3], ARGV[3]) == 0 then return end
redis.call('HSETNX', KEYS[1], ARGV[1], 0)
return redis.call('HINCRBY', KEYS[2], ARGV[1], ARGV[2])
"""

Tick = dict[str, tuple[float, float]]


def run() -> list[Case]:
    servers.REDIS.start()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    bench = Bench()
    cases = [bench.tick(0), bench.tick(3), bench.tick(100)]
    cases += [bench.increment(), bench.fill()]
    reads = [bench.held_days(), bench.book_at_rest(), bench.moving_book(3), bench.moving_book(100)]
    shutil.rmtree(DIRECTORY)
    return [*reads, *cases]


class Bench:
    """The same books in Redis, in files, in plain hashes and in the files of before."""

    def __init__(self) -> None:
        self.redis = create_data_store("redis")
        self.files = create_data_store("file", {"data_dir": DIRECTORY})
        self.raw: Any = get_redis_connection("positions")
        self.raw.flushdb()
        self.moves = itertools.count(1)
        for account in ACCOUNTS:
            states = book()
            for store in (self.redis, self.files):
                store.replace_positions(account, states, OPENED_ON)
            self.raw.hset(raw_key("equal", account), mapping=dict.fromkeys(CODES, "x" * 35))
            write_plain(self.raw, account, states)
            for directory in (LEGACY, SYNCED):
                write_legacy(directory / account, states)

    def held_days(self) -> Case:
        return measure(
            "held days of one code",
            {
                "platform": by_code(lambda code, account: self.redis.get_held_days(code, account)),
                "raw HGET, field of equal size": by_code(
                    lambda code, account: self.raw.hget(raw_key("equal", account), code)
                ),
                "legacy JSON": by_code(
                    lambda code, account: legacy_files.read_held_days(LEGACY / account, code)
                ),
                "platform, file mode": by_code(
                    lambda code, account: self.files.get_held_days(code, account)
                ),
            },
            3000,
            warm_up=100,
            goal="≤ 1.3",
        )

    def book_at_rest(self) -> Case:
        return measure(
            "a book of 100 codes, nothing moved since the last read",
            self.book_readers(),
            1000,
            warm_up=30,
            goal="≤ 0.5",
        )

    def moving_book(self, moving: int) -> Case:
        """Measure the read after the tick of another program."""
        other, ticks = create_data_store("redis"), self.ticks(moving)
        accounts = itertools.cycle(ACCOUNTS)
        readers = self.book_readers()
        del readers["platform, file mode"]  # nothing moves there
        return measure(
            f"a book of 100 codes, {moving} moved since the last read",
            readers,
            400,
            warm_up=20,
            goal="≤ 0.5",
            prepare=lambda: other.raise_extremes(next(accounts), next(ticks)),
        )

    def book_readers(self) -> dict[str, Callable[[], object]]:
        def raw(account: str) -> Any:
            pipeline = self.raw.pipeline(transaction=False)
            for part in ("held", "max", "min"):
                pipeline.hgetall(raw_key(part, account))
            return pipeline.execute()

        def raw_numbers(account: str) -> object:
            held, highest, lowest = raw(account)
            return {
                code: (int(days), float(highest[code]), float(lowest[code]))
                for code, days in held.items()
                if code != "_inc_date"
            }

        return {
            "platform": by_account(lambda account: self.redis.get_positions(account)),
            "raw, three HGETALLs in a pipeline": by_account(raw),
            "raw, the same made into numbers": by_account(raw_numbers),
            "raw, one HGETALL of the packed book": by_account(
                lambda account: self.raw.hgetall(book_key(account))
            ),
            "legacy JSON, the three files": by_account(
                lambda account: legacy_files.read_book(LEGACY / account)
            ),
            "legacy JSON, held days only": by_account(
                lambda account: legacy_files.read(LEGACY / account / legacy_files.HELD)
            ),
            "platform, file mode": by_account(lambda account: self.files.get_positions(account)),
        }

    def tick(self, moving: int) -> Case:
        ticks = list(itertools.islice(self.ticks(moving), 420))
        raw = self.raw_tick(RAW_EXTREMES, "")
        raw_by_code = self.raw_tick(RAW_EXTREMES_BY_CODE, "2")
        case = measure(
            f"a tick of 100 codes, {moving} of them a new high and low",
            {
                "platform": with_ticks(self.redis.raise_extremes, ticks),
                "raw Lua": with_ticks(raw, ticks),
                "raw Lua, code by code": with_ticks(raw_by_code, ticks),
                "legacy JSON": with_ticks(
                    lambda account, prices: legacy_files.raise_extremes(LEGACY / account, prices),
                    ticks,
                ),
            },
            400,
            warm_up=20,
            goal="≤ 1.2, legacy ≥ 3",
        )
        self.refuse_difference()
        synced = measure_files(
            with_ticks(self.files.raise_extremes, ticks),
            with_ticks(
                lambda account, prices: legacy_files.raise_extremes(
                    SYNCED / account, prices, legacy_files.replace
                ),
                ticks,
            ),
        )
        return followed(case, synced)

    def raw_tick(self, script: str, suffix: str) -> Callable[[str, Tick], object]:
        registered = self.raw.register_script(script)

        def call(account: str, prices: Tick) -> object:
            arguments = [value for code, tick in prices.items() for value in (code, *tick)]
            keys = [raw_key(part + suffix, account) for part in ("held", "max", "min")]
            return registered(keys=keys, args=arguments)

        return call

    def ticks(self, moving: int) -> Iterator[Tick]:
        """Yield ticks in which other codes move each time, always farther than before."""
        for number in self.moves:
            tick = dict.fromkeys(CODES, (PRICE, PRICE))
            step = round(number / 1000, 3)
            for place in range(moving):
                code = CODES[(number * moving + place) % len(CODES)]
                tick[code] = (round(PRICE + step, 3), round(PRICE - step, 3))
            yield tick

    def refuse_difference(self) -> None:
        """Make sure that all have done the same work."""
        for account in ACCOUNTS:
            states = self.redis.get_positions(account)
            highest = {code: state.max_price for code, state in states.items()}
            for part in ("max", "max2"):
                plain = self.raw.hgetall(raw_key(part, account))
                assert {code: float(price) for code, price in plain.items()} == highest
            assert legacy_files.read(LEGACY / account / legacy_files.HIGHEST) == highest

    def increment(self) -> Case:
        script = self.raw.register_script(RAW_INCREMENT)

        def raw(account: str) -> object:
            today = clock.today()
            keys = [raw_key("held", account)]
            return calendar.is_trading_day(today) and script(keys=keys, args=[today.isoformat()])

        def legacy(directory: Path, write: legacy_files.Write) -> Callable[[str], object]:
            return lambda account: legacy_files.increment(directory / account, clock.today(), write)

        case = measure(
            "age a book of 100 codes by a day",
            {
                "platform": day_by_day(self.redis.all_held_inc),
                "raw Lua": day_by_day(raw),
                "legacy JSON": day_by_day(legacy(LEGACY, legacy_files.rewrite)),
            },
            400,
            warm_up=10,
            goal="one Lua call",
        )
        synced = measure_files(
            day_by_day(self.files.all_held_inc), day_by_day(legacy(SYNCED, legacy_files.replace))
        )
        return followed(case, synced)

    def fill(self) -> Case:
        script = self.raw.register_script(RAW_FILL)

        def raw(account: str, number: int, side: str) -> object:
            keys = [raw_key(part, account) for part in ("held", "volume", "fills")]
            shares = 100 if side == "BUY" else -100
            return script(keys=keys, args=[FILL_CODE, shares, f"{number}"])

        def platform(store: DataStore) -> Callable[[str, int, str], object]:
            return lambda account, number, side: store.apply_fill(
                account, FILL_CODE, side, 100, PRICE, trade_id=f"{number}", timestamp=FILLED_AT
            )

        def legacy(directory: Path, write: legacy_files.Write) -> Callable[[], object]:
            return by_account(
                lambda account: legacy_files.buy(directory / account, FILL_CODE, write)
            )

        with clock.pinned(FILLED_AT):
            case = measure(
                "apply a fill",
                {
                    "platform": with_fills(platform(self.redis)),
                    "raw Lua": with_fills(raw),
                    "legacy JSON": legacy(LEGACY, legacy_files.rewrite),
                },
                400,
                warm_up=10,
            )
            synced = measure_files(
                with_fills(platform(self.files)), legacy(SYNCED, legacy_files.replace)
            )
        return followed(case, synced)


def measure_files(platform: Callable[[], object], raw: Callable[[], object]) -> Case:
    """Measure writes to files on their own: their syncs hold up every other writer of the disk."""
    candidates = {"platform, file mode": platform, "raw files, replaced and synced": raw}
    return measure("", candidates, 100, warm_up=20)


def followed(case: Case, later: Case) -> Case:
    return replace(case, timings=[*case.timings, *later.timings])


def book() -> dict[str, PositionState]:
    return {
        code: PositionState(code, place % 20 + 1, PRICE, PRICE, 1000 + 100 * place, OPENED_ON)
        for place, code in enumerate(CODES)
    }


def raw_key(part: str, account: str) -> str:
    return f"raw:{{{account}}}:{part}"


def write_plain(raw: Any, account: str, states: dict[str, PositionState]) -> None:
    columns = {
        "held": {code: state.held_days for code, state in states.items()},
        "volume": {code: state.volume for code, state in states.items()},
        "max": {code: state.max_price for code, state in states.items()},
        "min": {code: state.min_price for code, state in states.items()},
    }
    for part, fields in columns.items():
        raw.hset(raw_key(part, account), mapping=fields)
        raw.hset(raw_key(f"{part}2", account), mapping=fields)


def write_legacy(directory: Path, states: dict[str, PositionState]) -> None:
    directory.mkdir(parents=True)
    days = {code: {"day_count": state.held_days} for code, state in states.items()}
    held = {"_inc_date": OPENED_ON.isoformat(), **days}
    legacy_files.rewrite(directory / legacy_files.HELD, held)
    highest = {code: state.max_price for code, state in states.items()}
    lowest = {code: state.min_price for code, state in states.items()}
    legacy_files.rewrite(directory / legacy_files.HIGHEST, highest)
    legacy_files.rewrite(directory / legacy_files.LOWEST, lowest)


def by_account(call: Callable[[str], object]) -> Callable[[], object]:
    accounts = itertools.cycle(ACCOUNTS)
    return lambda: call(next(accounts))


def by_code(call: Callable[[str, str], object]) -> Callable[[], object]:
    places = itertools.cycle([(code, account) for code in CODES for account in ACCOUNTS])
    return lambda: call(*next(places))


def with_ticks(call: Callable[[str, Tick], object], ticks: list[Tick]) -> Callable[[], object]:
    accounts, coming = itertools.cycle(ACCOUNTS), iter(ticks)
    return lambda: call(next(accounts), next(coming))


def with_fills(call: Callable[[str, int, str], object]) -> Callable[[], object]:
    """Buy in each account, sell in each, and so on."""
    numbers = itertools.count()

    def turn() -> object:
        number = next(numbers)
        place = number % len(ACCOUNTS)
        side = "BUY" if number // len(ACCOUNTS) % 2 == 0 else "SELL"
        return call(ACCOUNTS[place], number, side)

    return turn


def day_by_day(call: Callable[[str], object]) -> Callable[[], object]:
    """Age one account after the other, then all of them on the next trading day."""
    turns = iter(
        [
            (account, datetime.combine(day, time(8, 5), clock.SHANGHAI))
            for day in trading_days(41)
            for account in ACCOUNTS
        ]
    )

    def turn() -> None:
        account, morning = next(turns)
        with clock.pinned(morning):
            assert call(account)

    return turn


def trading_days(count: int) -> list[date]:
    days = (FIRST_DAY + timedelta(days=number) for number in itertools.count())
    return list(itertools.islice(filter(calendar.is_trading_day, days), count))
