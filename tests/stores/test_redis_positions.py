from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
import redis as driver

from storage_app.contract.errors import Corrupt, Unavailable
from storage_app.contract.types import PositionFlag, PositionState
from storage_app.stores.redis import RedisPositions
from tests.contract.racing import race
from tests.waiting import quickest
from trades_app.market import clock

BOOK = "55009728/test"
KEY = "sq:{55009728/test}"
BANK = "000001.SZ"
CODES = [f"{number:06d}.SH" for number in range(600000, 600100)]
MONDAY = date(2026, 3, 2)
TUESDAY = date(2026, 3, 3)
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
# One timeout of 0.5 s and what a busy machine adds; a retry would make it a second.
ONE_TIMEOUT = 0.9


@pytest.fixture
def store(redis):
    store = RedisPositions()
    yield store
    store.close()


def fill(store, trade_id, side="BUY"):
    return store.apply_fill(
        BOOK, BANK, side, 100, Decimal("10.5"), trade_id=trade_id, timestamp=MORNING
    )


def commands(redis, action):
    """Return {command: calls} of what `action` sends; what a script calls is not counted."""
    redis.config_resetstat()
    action()
    within_scripts = {"zscore", "hget", "hmget", "hset", "hdel", "hincrby", "hvals", "time", "zadd"}
    calls = {
        name.removeprefix("cmdstat_"): figures["calls"]
        for name, figures in redis.info("commandstats").items()
    }
    for name in ("config|resetstat", "info"):
        calls.pop(name, None)
    if "evalsha" in calls:
        return {name: count for name, count in calls.items() if name == "evalsha"} | {
            name: count
            for name, count in calls.items()
            if name not in within_scripts | {"evalsha", "hgetall", "zremrangebyscore"}
        }
    return calls


def timed_refusal(call):
    def refused():
        with pytest.raises(Unavailable) as refusal:
            call()
        assert refusal.value.backend == "redis"

    return quickest(refused, ONE_TIMEOUT)[1]


def test_a_book_is_one_hash_with_a_packed_field_per_code(store, redis):
    store.replace_positions(
        BOOK,
        {
            BANK: PositionState(BANK, 3, 10.501, 9.8, 1200, MONDAY),
            "600000.SH": PositionState("600000.SH", None, flag=PositionFlag.UNCONFIRMED),
        },
        TUESDAY,
    )
    fields = redis.hgetall(KEY)
    assert len(fields.pop("_gen").split(".")) == 2
    assert fields == {
        "_rev": "1",
        "_inc_date": "2026-03-03",
        BANK: "3|10501|9800|1200|2026-03-02|",
        "600000.SH": "|||||unconfirmed",
    }


def test_all_keys_of_a_book_share_one_cluster_slot(store, redis):
    fill(store, "1")
    keys = [key for key in redis.keys("*") if key != "sq:books"]
    assert sorted(keys) == [KEY, f"{KEY}:fills"]
    assert len({driver.cluster.key_slot(key.encode()) for key in keys}) == 1


def test_reading_a_book_is_one_command_however_many_positions(store, redis):
    store.replace_positions(BOOK, {code: PositionState(code, 1) for code in CODES}, MONDAY)
    assert commands(redis, lambda: store.get_positions(BOOK)) == {"hgetall": 1}
    assert commands(redis, lambda: store.read_book(BOOK)) == {"hgetall": 1}
    assert commands(redis, lambda: store.get_held_days(BANK, BOOK)) == {"hmget": 1}


def test_a_tick_and_an_increment_are_one_script_call_each(store, redis):
    store.replace_positions(BOOK, {code: PositionState(code, 1) for code in CODES}, MONDAY)
    tick = dict.fromkeys(CODES, (Decimal(11), Decimal(10)))
    assert commands(redis, lambda: store.raise_extremes(BOOK, tick)) == {"evalsha": 1}
    assert commands(redis, lambda: store.increment_held_days(BOOK, TUESDAY)) == {"evalsha": 1}
    assert commands(redis, lambda: fill(store, "1")) == {"evalsha": 1}


def test_the_revision_rises_with_each_change_and_with_nothing_else(store, redis):
    def revision():
        return int(redis.hget(KEY, "_rev"))

    fill(store, "1")
    changes = [
        lambda: fill(store, "2"),
        lambda: store.increment_held_days(BOOK, TUESDAY),
        lambda: store.raise_extremes(BOOK, {BANK: (Decimal(11), Decimal(10))}),
        lambda: store.update_min_price(BANK, Decimal(9), BOOK),
        lambda: store.update_held_days(BANK, 5, BOOK),
        lambda: store.open_positions(BOOK, ["600000.SH"]),
        lambda: store.delete_held_days("600000.SH", BOOK),
        lambda: store.replace_positions(BOOK, {BANK: PositionState(BANK, 5)}, TUESDAY),
    ]
    for expected, change in enumerate(changes, start=2):
        change()
        assert revision() == expected
    for nothing in (
        lambda: fill(store, "2"),
        lambda: store.increment_held_days(BOOK, TUESDAY),
        lambda: store.raise_extremes(BOOK, {"600000.SH": (Decimal(11), Decimal(10))}),
        lambda: store.update_held_days(BANK, 5, BOOK),
        lambda: store.open_positions(BOOK, [BANK]),
        lambda: store.delete_held_days("600000.SH", BOOK),
        lambda: store.get_positions(BOOK),
    ):
        nothing()
        assert revision() == len(changes) + 1


def test_a_book_that_was_lost_and_begun_anew_has_another_generation(store, redis):
    fill(store, "1")
    first = redis.hget(KEY, "_gen")
    fill(store, "2")
    assert redis.hget(KEY, "_gen") == first
    redis.flushdb()
    fill(store, "3")
    assert redis.hget(KEY, "_gen") != first
    assert store.list_books() == [BOOK]


def test_scripts_are_loaded_again_when_the_server_forgot_them(store, redis):
    fill(store, "1")
    redis.script_flush()
    assert fill(store, "2").volume == 200


def test_a_restarted_server_goes_on_with_the_same_state(store, redis, redis_server):
    fill(store, "1")
    store.increment_held_days(BOOK, TUESDAY)
    before = store.read_book(BOOK)
    redis_server.stop()
    for call in (
        lambda: store.read_book(BOOK),
        lambda: store.list_books(),
        lambda: store.increment_held_days(BOOK, TUESDAY),
        lambda: fill(store, "2"),
        store.ping,
    ):
        assert timed_refusal(call) < ONE_TIMEOUT
    redis_server.start()
    assert store.read_book(BOOK) == before
    assert store.increment_held_days(BOOK, TUESDAY) is False
    assert fill(store, "1").volume == 100
    assert fill(store, "2").volume == 200


def test_a_frozen_server_costs_one_timeout_and_no_retries(store, redis, redis_server):
    fill(store, "1")
    redis_server.freeze()
    try:
        kept = timed_refusal(lambda: store.get_held_days(BANK, BOOK))
        new = timed_refusal(lambda: store.raise_extremes(BOOK, {BANK: (Decimal(2), Decimal(1))}))
        ping = timed_refusal(store.ping)
    finally:
        redis_server.thaw()
    assert max(kept, new, ping) < ONE_TIMEOUT
    assert store.get_held_days(BANK, BOOK) == 0


@pytest.mark.parametrize(
    ("name", "value", "usual"), [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")]
)
def test_a_server_that_takes_no_writes_is_unavailable(store, redis, name, value, usual):
    fill(store, "1")
    redis.config_set(name, value)
    try:
        timed_refusal(lambda: store.increment_held_days(BOOK, TUESDAY))
    finally:
        redis.config_set(name, usual)
    assert store.get_held_days(BANK, BOOK) == 0
    assert store.increment_held_days(BOOK, TUESDAY) is True


def test_a_read_only_replica_is_unavailable_for_writes(store, redis):
    fill(store, "1")
    redis.replicaof("127.0.0.1", 1)
    try:
        timed_refusal(lambda: fill(store, "2"))
    finally:
        redis.replicaof("NO", "ONE")


def test_a_key_that_holds_something_else_is_not_an_outage(store, redis):
    redis.set(KEY, "mine")
    for call in (
        lambda: store.get_held_days(BANK, BOOK),
        lambda: store.read_book(BOOK),
        lambda: fill(store, "1"),
    ):
        with pytest.raises(Corrupt, match="WRONGTYPE"):
            call()
    assert redis.exists(f"{KEY}:fills") == 0


@pytest.mark.parametrize("text", ["", "3", "x|||||", "1|2|3|4|tomorrow|", "1|||||odd"])
def test_a_damaged_entry_is_refused_by_name(store, redis, text):
    redis.hset(KEY, BANK, text)
    for read in (lambda: store.get_held_days(BANK, BOOK), lambda: store.read_book(BOOK)):
        with pytest.raises(Corrupt, match=BANK):
            read()


def test_a_damaged_entry_stops_a_change_before_anything_is_written(store, redis):
    fill(store, "1")
    redis.hset(KEY, "600000.SH", "nonsense")
    before = redis.hgetall(KEY)
    for change in (
        lambda: store.increment_held_days(BOOK, TUESDAY),
        lambda: store.raise_extremes(BOOK, dict.fromkeys(before, (Decimal(9), Decimal(8)))),
        lambda: store.update_held_days("600000.SH", 1, BOOK),
    ):
        with pytest.raises(Corrupt, match=r"600000\.SH: nonsense"):
            change()
    assert redis.hgetall(KEY) == before


def test_a_store_may_be_used_on_both_sides_of_a_fork(store):
    fill(store, "0")
    race(lambda number: fill(store, f"{number + 1}"), processes=4, threads=2)
    assert fill(store, "0").volume == 900


def test_two_thousand_positions_fit_into_one_book(store):
    states = {f"{n:06d}.SH": PositionState(f"{n:06d}.SH", 1) for n in range(600000, 602000)}
    store.replace_positions(BOOK, states)
    tick = dict.fromkeys(states, (Decimal(2), Decimal(1)))
    store.raise_extremes(BOOK, tick)
    assert store.increment_held_days(BOOK, MONDAY) is True
    assert len(store.open_positions(BOOK, [f"{n:06d}.SH" for n in range(600000, 604000)])) == 2000
    held = store.get_positions(BOOK)
    assert len(held) == 4000
    assert held["601999.SH"] == PositionState("601999.SH", 2, 2.0, 1.0)
    store.replace_positions(BOOK, {})
    assert store.get_positions(BOOK) == {}


def test_a_book_read_again_shows_what_another_program_changed_since(store):
    other = RedisPositions()
    store.open_positions(BOOK, CODES)
    first = store.read_book(BOOK)
    other.raise_extremes(BOOK, {CODES[0]: (10.5, 10.1)})
    other.increment_held_days(BOOK, TUESDAY)
    other.delete_held_days(CODES[1], BOOK)
    assert store.read_book(BOOK) == RedisPositions().read_book(BOOK)
    other.update_held_days(CODES[2], 9, BOOK)
    other.increment_held_days(BOOK, date(2026, 3, 4))
    again = store.read_book(BOOK)
    assert again == RedisPositions().read_book(BOOK)
    assert again.positions[CODES[0]] == PositionState(CODES[0], 2, 10.5, 10.1)
    assert again.increment_date == date(2026, 3, 4)
    assert first.positions[CODES[0]] == PositionState(CODES[0], 0)
