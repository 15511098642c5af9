"""Two hosts share a book: each has a DATA_DIR of its own, and one a network of its own."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from storage_app.contract.errors import NotFound, Unavailable
from storage_app.models import AuditEntry
from storage_app.stores import book_sync, books, position_conflicts
from storage_app.stores import journal as journals
from storage_app.stores.breaker import states
from storage_app.stores.compose import create_data_store, open_platform_store
from storage_app.stores.condition import conditions
from storage_app.stores.file.documents import locked
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.host import host_name
from storage_app.stores.redis import RedisPositions
from storage_app.tasks import age_books
from tests import servers
from tests.faults.proxy import Proxy
from tests.faults.trader import Trader
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

BOOK = "55009728"
CODE, OTHER = "600000.SH", "000001.SZ"
# A position is a day old on the day after it was opened.
DAY = clock.today() + timedelta(days=1)
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
FOLLOWED = 5.0


@pytest.fixture
def near(redis, data_dir):
    """The host of this process, whose way to Redis is never cut."""
    store = create_data_store("hybrid")
    yield store
    servers.REDIS.start()
    wait_for(lambda: not is_on_files(data_dir))
    store.close()


@pytest.fixture
def network(redis_server):
    with Proxy(servers.REDIS.port) as proxy:
        yield proxy


@pytest.fixture
def far_dir(tmp_path):
    return tmp_path / "far"


@pytest.fixture
def far(near, network, far_dir):
    """Another host, which reaches Redis through `network`."""
    with Trader(far_dir, REDIS_PORT=network.port) as trader:
        yield trader
        network.restore()


def is_on_files(directory):
    is_down = "redis" in states() and states()["redis"].is_open
    return is_down or (directory / "journal" / "positions.on_files").exists()


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


def fill(trade_id, code=CODE, volume=100, **others):
    arguments = {"trade_id": trade_id, "timestamp": clock.now(), **others}
    return ("apply_fill", (BOOK, code, "BUY", volume, "10.5"), arguments)


def do(store, call):
    name, args, kwargs = call
    return getattr(store, name)(*args, **kwargs)


def far_does(far, *calls):
    for answer in far.calls(calls):
        assert not answer.error, answer


def owed(directory):
    entries, damage = journals.inspect(directory / "journal")
    assert not damage
    return [entry for entry in entries if not all(entry.marks)]


def has_come_back(directory):
    return not owed(directory) and not (directory / "journal" / "positions.on_files").exists()


def agree(*directories):
    """Wait until both hosts have what Redis has, and return it."""

    def do_agree():
        copy = RedisPositions().dump(BOOK)
        return all(
            has_come_back(one) and FilePositions(one).read_copy(BOOK) == copy for one in directories
        )

    wait_for(do_agree)
    return RedisPositions().read_book(BOOK)


def lease():
    return RedisPositions().read_marks(BOOK).lease


def run(*arguments):
    out = io.StringIO()
    try:
        call_command("journal", *arguments, stdout=out, stderr=out)
    except CommandError as exc:
        return f"{out.getvalue()}{exc}"
    return out.getvalue()


class TestLease:
    def test_the_first_change_takes_it_and_no_later_one(self, near, far, data_dir, far_dir):
        do(near, fill("1"))
        assert lease() == host_name(data_dir / "journal")
        far_does(far, fill("2"))
        assert lease() == host_name(data_dir / "journal")
        agree(data_dir, far_dir)
        assert FilePositions(far_dir).read_marks(BOOK).lease == lease()

    def test_a_change_that_changes_nothing_takes_it_in_one_round_trip(self, near, redis, data_dir):
        RedisPositions().update_held_days(CODE, 3, BOOK)
        near.update_held_days(CODE, 3, BOOK)
        assert lease() == host_name(data_dir / "journal")
        redis.config_resetstat()
        near.raise_extremes(BOOK, {CODE: (11.0, 10.0)})
        assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1

    def test_while_redis_is_down_only_the_holder_writes_and_everybody_reads(
        self, near, far, data_dir, far_dir
    ):
        do(near, fill("1"))
        agree(data_dir, far_dir)
        servers.REDIS.kill()
        assert do(near, fill("2")).volume == 200
        refused = far.call(*fill("3")[:1], *fill("3")[1], **fill("3")[2])
        assert refused.error == "Unavailable"
        assert host_name(data_dir / "journal") in refused.message
        assert far.get("get_positions", BOOK)[CODE].volume == 100
        servers.REDIS.start()
        assert agree(data_dir, far_dir).positions[CODE].volume == 200
        far_does(far, fill("3"))
        assert agree(data_dir, far_dir).positions[CODE].volume == 300

    def test_a_book_that_nobody_holds_waits_for_redis(self, near, data_dir):
        RedisPositions().update_held_days(CODE, 3, BOOK)
        wait_for(lambda: FilePositions(data_dir).get_held_days(CODE, BOOK) == 3)
        servers.REDIS.kill()
        with pytest.raises(Unavailable, match="nobody holds the lease"):
            do(near, fill("1"))
        assert near.get_held_days(CODE, BOOK) == 3

    def test_a_host_that_never_reached_redis_begins_a_book(self, network, far_dir, redis, data_dir):
        network.refuse()
        with Trader(far_dir, REDIS_PORT=network.port) as far:
            far_does(far, fill("1"), fill("2"))
            near = create_data_store("hybrid")
            do(near, fill("3"))
            assert lease() == host_name(data_dir / "journal")
            network.restore()
            assert agree(data_dir, far_dir).positions[CODE].volume == 300
            assert lease() == host_name(data_dir / "journal")
            near.close()

    def test_it_moves_by_a_claim_which_redis_has_to_answer(self, near, far, data_dir, far_dir):
        far_does(far, fill("1"))
        agree(data_dir, far_dir)
        servers.REDIS.kill()
        with pytest.raises(Unavailable):
            do(near, fill("2"))
        assert "unavailable" in run("claim", BOOK)
        servers.REDIS.start()
        wait_for(lambda: not is_on_files(data_dir))
        text = run("claim", BOOK, "--reason", "the other machine is broken")
        assert host_name(far_dir / "journal") in text
        assert lease() == host_name(data_dir / "journal")
        (entry,) = AuditEntry.objects.filter(account_id=BOOK)
        assert entry.before == {f"lease {BOOK}": host_name(far_dir / "journal")}
        assert (entry.after, entry.reason) == (
            {f"lease {BOOK}": host_name(data_dir / "journal")}, "the other machine is broken",
        )  # fmt: skip
        agree(data_dir, far_dir)
        servers.REDIS.kill()
        assert do(near, fill("2")).volume == 200
        assert far.call("update_held_days", CODE, 1, BOOK).error == "Unavailable"
        servers.REDIS.start()
        assert agree(data_dir, far_dir).positions[CODE].volume == 200
        with pytest.raises(NotFound):
            books.claim(data_dir, "66001234")

    def test_jobs_and_the_admin_never_take_it(self, near, data_dir):
        store = open_platform_store()
        do(store, fill("1"))
        assert lease() == ""
        near.create_account(BOOK, "主账户", "QMT", 1)
        with clock.pinned(MORNING):
            assert age_books()["result"] == [BOOK]
        assert lease() == ""
        servers.REDIS.kill()
        with pytest.raises(Unavailable, match="knows no book"):
            store.update_held_days(CODE, 1, "66001234")
        store.close()


class TestFollowing:
    def test_what_another_host_changes_is_there_within_five_seconds(
        self, near, far, data_dir, far_dir
    ):
        do(near, fill("1"))
        wait_for(lambda: FilePositions(far_dir).read_book(BOOK).positions, FOLLOWED)
        do(near, fill("2"))
        near.increment_held_days(BOOK, DAY)
        wait_for(lambda: FilePositions(far_dir).read_book(BOOK).increment_date, FOLLOWED)
        servers.REDIS.kill()
        assert far.get("get_positions", BOOK)[CODE].volume == 200

    def test_all_books_are_asked_for_in_one_round_trip(self, near, redis, data_dir):
        for number in range(30):
            near.update_held_days(CODE, 1, f"{BOOK}/s{number}")
        wait_for(lambda: len(FilePositions(data_dir).list_books()) == 30)
        positions = near.positions.primary
        pool = positions._connection().connection_pool
        sent = []
        connection = pool.get_connection()
        original = connection.send_packed_command
        connection.send_packed_command = lambda *a, **k: sent.append(1) or original(*a, **k)
        pool.release(connection)
        marks = positions.read_all_marks(FilePositions(data_dir).list_books())
        assert (len(marks), len(sent)) == (30, 1)


class TestReplay:
    """The far host loses its way to Redis and goes on; the near one goes on with Redis."""

    @pytest.fixture
    def parted(self, near, far, network, data_dir, far_dir):
        far_does(far, fill("1"), ("update_held_days", (CODE, 3, BOOK), {}))
        far_does(far, ("raise_extremes", (BOOK, {CODE: (11.0, 10.0)}), {}), fill("1", OTHER))
        agree(data_dir, far_dir)
        network.refuse()
        return far

    def test_changes_of_both_are_there_afterwards(self, near, parted, network, data_dir, far_dir):
        far_does(
            parted,
            fill("2"),
            fill("both"),
            ("increment_held_days", (BOOK, DAY), {}),
            ("raise_extremes", (BOOK, {CODE: (12.0, 9.9)}), {}),
        )
        do(near, fill("3"))
        do(near, fill("both"))
        assert near.increment_held_days(BOOK, DAY)
        assert near.increment_held_days(BOOK, DAY + timedelta(days=1))
        near.raise_extremes(BOOK, {CODE: (11.5, 9.5)})
        network.restore()
        state = agree(data_dir, far_dir).positions[CODE]
        assert (state.volume, state.held_days) == (400, 5)
        assert (state.max_price, state.min_price) == (12.0, 9.5)
        assert not books.stopped(far_dir)
        assert not parted.get("increment_held_days", BOOK, DAY)

    def test_a_change_of_the_last_moment_that_the_host_had_not_seen_stays(
        self, near, parted, network, data_dir, far_dir
    ):
        assert FilePositions(far_dir).read_book(BOOK).positions[CODE].volume == 100
        do(near, fill("9"))
        far_does(parted, fill("2"))
        network.restore()
        assert agree(data_dir, far_dir).positions[CODE].volume == 300

    @pytest.mark.parametrize(("keep", "age"), [("host", 7), ("redis", 10)])
    def test_ages_that_differ_stop_the_code_until_a_person_decides(
        self, near, parted, network, data_dir, far_dir, keep, age
    ):
        far_does(parted, ("update_held_days", (CODE, 6, BOOK), {}), fill("2", OTHER))
        near.update_held_days(CODE, 9, BOOK)
        network.restore()
        book = agree(data_dir, far_dir)
        assert (book.positions[CODE].held_days, book.positions[OTHER].volume) == (9, 200)
        self.check_shown(parted, far_dir)
        near.increment_held_days(BOOK, DAY)
        text = run("resolve", BOOK, CODE, "--keep", keep, "--reason", "by the broker's list",
                   "--data-dir", str(far_dir))  # fmt: skip
        assert f"{BOOK} {CODE}: age 10" in text
        assert agree(data_dir, far_dir).positions[CODE].held_days == age
        (entry,) = AuditEntry.objects.filter(account_id=BOOK)
        assert (entry.after["kept"], entry.reason) == (keep, "by the broker's list")
        assert "stopped: " not in run("status", "--data-dir", str(far_dir))
        with pytest.raises(NotFound):
            position_conflicts.find(far_dir / "journal", BOOK, CODE)

    def check_shown(self, far, far_dir):
        levels = [text for level, text in far.log() if level == "ERROR"]
        assert [text for text in levels if "Conflict of positions" in text and CODE in text]
        assert f"stopped: {BOOK} {CODE}: held_days differs" in run(
            "status", "--data-dir", str(far_dir)
        )
        store = open_platform_store(far_dir)
        assert store.owed()["position conflict"]["count"] == 1
        assert conditions(store, far_dir)["redis"].owed["position conflict"].count == 1
        store.close()


class TestLoss:
    def test_only_the_holder_rebuilds_and_the_other_waits_with_its_files(
        self, near, far, network, redis, data_dir, far_dir
    ):
        far_does(far, fill("1"), fill("2"))
        before = agree(data_dir, far_dir)
        network.refuse()
        wait_for(lambda: far.call("get_positions", BOOK).error == "")
        redis.flushall()
        assert near.read_book(BOOK) == before
        with pytest.raises(Unavailable, match=host_name(far_dir / "journal")):
            do(near, fill("3"))
        time.sleep(2.5)
        assert near.read_book(BOOK) == before
        assert RedisPositions().dump(BOOK).state.positions.keys() <= {CODE}
        assert not is_on_files(data_dir)
        network.restore()
        wait_for(lambda: RedisPositions().read_book(BOOK) == before)
        assert agree(data_dir, far_dir) == before
        assert do(near, fill("3")).volume == 300
        assert far.get("get_positions", BOOK)[CODE].volume == 300

    def test_the_other_host_shows_what_it_was_told_and_its_files_had_not_got(
        self, near, far, redis, far_dir
    ):
        far_does(far, fill("1"))
        RedisPositions().claim(BOOK, "elsewhere")
        wait_for(lambda: FilePositions(far_dir).read_marks(BOOK).lease == "elsewhere")
        # Whoever would bring the files up to date has to wait.
        with locked(far_dir / "journal" / "positions.on_files"):
            far_does(far, fill("2"), ("raise_extremes", (BOOK, {CODE: (12.0, 9.0)}), {}))
            redis.flushall()
        state = far.get("get_positions", BOOK)[CODE]
        assert (state.volume, state.max_price) == (200, 12.0)

    def test_what_the_other_host_did_and_the_holder_had_not_seen_is_added(
        self, near, far, network, redis, data_dir, far_dir
    ):
        far_does(far, fill("1"))
        agree(data_dir, far_dir)
        network.refuse()
        far_does(far, fill("2"))
        do(near, fill("3"))
        near.increment_held_days(BOOK, DAY)
        redis.flushall()
        network.restore()
        wait_for(lambda: RedisPositions().read_book(BOOK).positions)
        book = agree(data_dir, far_dir)
        assert book.positions[CODE].volume == 300
        assert book.increment_date == DAY
        assert book.positions[CODE].held_days == 1
        assert do(near, fill("3")).volume == 300

    def test_a_host_that_knows_more_than_the_holder_adds_what_it_had_done(
        self, near, far, network, redis, data_dir, far_dir, monkeypatch
    ):
        monkeypatch.setattr(book_sync, "PATIENCE_SECONDS", 0.5)
        far_does(far, fill("1"))
        agree(data_dir, far_dir)
        network.refuse()
        old = redis.dump(f"sq:{{{BOOK}}}"), redis.dump(f"sq:{{{BOOK}}}:fills")
        do(near, fill("2"))
        near.increment_held_days(BOOK, DAY)
        before = near.read_book(BOOK)
        wait_for(lambda: FilePositions(data_dir).read_book(BOOK) == before)
        redis.restore(f"sq:{{{BOOK}}}", 0, old[0], replace=True)
        redis.restore(f"sq:{{{BOOK}}}:fills", 0, old[1], replace=True)
        assert near.read_book(BOOK) == before
        wait_for(lambda: RedisPositions().read_book(BOOK) == before)
        network.restore()
        assert agree(data_dir, far_dir) == before
        assert not books.stopped(data_dir)

    def test_a_claim_lets_another_host_rebuild(self, near, far, network, redis, data_dir, far_dir):
        far_does(far, fill("1"))
        before = agree(data_dir, far_dir)
        network.refuse()
        redis.flushall()
        assert near.read_book(BOOK) == before
        books.claim(data_dir, BOOK)
        wait_for(lambda: RedisPositions().read_book(BOOK) == before)
        assert do(near, fill("2")).volume == 200
        network.restore()
        assert agree(data_dir, far_dir).positions[CODE].volume == 200
        assert lease() == host_name(data_dir / "journal")


def test_a_host_has_one_name_for_good(data_dir):
    name = host_name(data_dir / "journal")
    assert host_name(data_dir / "journal") == name
    assert json.loads((data_dir / "journal" / "host.json").read_text())["host"] == name
