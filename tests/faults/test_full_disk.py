"""A disk that is full refuses what it cannot keep, and loses nothing that it has."""

from __future__ import annotations

import time

import pytest

from storage_app.contract.types import PositionState
from storage_app.stores import journal as journals
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.redis import RedisPositions
from tests import servers
from tests.faults.disks import LimitedFiles, small_disk
from tests.faults.trader import Trader
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

ACCOUNT = "55009728"
CODE = "600000.SH"
# Long, so that the room that the journal has prepared is used up soon.
REMARK = "x" * 2000
MOST = 3000


@pytest.fixture
def disk(request, tmp_path, data_dir):
    with small_disk(tmp_path / "disk") as found:
        is_limited = getattr(request, "param", "small disk") == "limited files"
        yield LimitedFiles(found.directory) if is_limited else found


@pytest.fixture
def trader(redis, clickhouse, disk):
    store = create_data_store("hybrid", {"data_dir": disk.directory})
    store.create_account(ACCOUNT, "Disk", "QMT", 1)
    store.replace_positions(ACCOUNT, {CODE: PositionState(CODE, 0, 10.5, 10.5, volume=0)})
    store.close()
    with Trader(disk.directory) as program:
        yield program
        disk.free(program.pid)


@pytest.fixture
def all_down():
    """Only what is on the disk counts."""
    for server in (servers.REDIS, servers.CLICKHOUSE):
        server.kill()
    yield
    for server in (servers.REDIS, servers.CLICKHOUSE):
        server.start()


def record(trader, number):
    return trader.call(
        "record_trade", ACCOUNT, clock.now(), CODE, "浦发银行", "buy_trade", f"{number} {REMARK}",
        "10.5", 100, trade_id=f"T-{number}",
    )  # fmt: skip


def buy(trader, number):
    return trader.call(
        "apply_fill", ACCOUNT, CODE, "BUY", 100, "10.5",
        trade_id=f"F-{number}-{'x' * 2000}", timestamp=clock.now(),
    )  # fmt: skip


def until_refused(do, trader):
    """Return how many calls were acknowledged, and the refusal."""
    for number in range(MOST):
        answer = do(trader, number)
        if answer.error:
            return number, answer
    raise AssertionError(f"{MOST} calls were acknowledged on a full disk")


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def owed(disk):
    entries, damage = journals.inspect(disk.directory / "journal")
    assert damage == []
    return [entry for entry in entries if not all(entry.marks)]


@pytest.mark.parametrize("disk", ["small disk", "limited files"], indirect=True)
def test_trades_are_refused_while_the_disk_is_full_and_none_is_lost(trader, disk):
    assert not record(trader, "before").error
    disk.fill(trader.pid)
    count, refusal = until_refused(record, trader)
    assert refusal.error == "Unavailable"
    assert str(disk.directory) in refusal.message
    assert any(reason in refusal.message for reason in ("No space left", "File too large"))
    assert record(trader, "again").error == "Unavailable"
    rows = trader.get("query_trades", ACCOUNT, limit=5000)
    told = {"before", *map(str, range(count))}
    assert told <= {row["remark"].split()[0] for row in rows}
    assert trader.get("get_positions", ACCOUNT)[CODE].held_days == 0

    disk.free(trader.pid)
    wait_until(lambda: not record(trader, "after").error)
    assert not record(trader, count).error
    wait_until(lambda: not owed(disk))
    told |= {"after", str(count)}
    stored = [row["remark"].split()[0] for row in ClickHouseTrades().iter_trades(ACCOUNT)]
    assert len(stored) == len(set(stored))
    # One that was refused may have been kept all the same.
    assert told <= set(stored) <= told | {"again"}
    mirrored = [row["remark"].split()[0] for row in FileTrades(disk.directory).iter_trades(ACCOUNT)]
    assert mirrored == stored


@pytest.mark.parametrize("servers_are", ["up", "down"])
def test_fills_are_refused_while_the_disk_is_full_and_count_once(
    request, trader, disk, servers_are
):
    if servers_are == "down":
        request.getfixturevalue("all_down")
    assert not buy(trader, "before").error
    disk.fill(trader.pid)
    count, refusal = until_refused(buy, trader)
    assert refusal.error == "Unavailable"
    assert any(reason in refusal.message for reason in ("No space left", "File too large"))
    held = trader.get("get_positions", ACCOUNT)[CODE]
    assert held.volume in (100 * (count + 1), 100 * (count + 2))

    disk.free(trader.pid)
    servers.REDIS.start()
    servers.CLICKHOUSE.start()
    wait_until(lambda: not buy(trader, count).error)
    assert trader.get("get_positions", ACCOUNT)[CODE].volume == 100 * (count + 2)
    wait_until(lambda: not owed(disk))
    in_redis = RedisPositions().read_book(ACCOUNT)
    assert in_redis.positions[CODE].volume == 100 * (count + 2)
    wait_until(lambda: FilePositions(disk.directory).read_book(ACCOUNT) == in_redis)


def test_a_program_that_begins_on_a_full_disk_says_so_and_still_reads(trader, disk):
    assert not buy(trader, "before").error
    assert not record(trader, "before").error
    wait_until(lambda: not owed(disk))
    disk.fill(trader.pid)
    with Trader(disk.directory) as other:
        disk.fill(other.pid)
        assert other.opening.error == ""
        assert other.get("get_positions", ACCOUNT)[CODE].volume == 100
        assert len(other.get("query_trades", ACCOUNT)) == 1
        assert record(other, "refused").error == "Unavailable"
