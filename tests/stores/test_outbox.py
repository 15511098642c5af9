from __future__ import annotations

import gc
import os
import threading
import time

import pytest

from storage_app.contract.errors import Unavailable
from storage_app.stores import background, breaker, outbox
from storage_app.stores import journal_segments as segments
from storage_app.stores.background import Worker
from storage_app.stores.breaker import breaker_for
from storage_app.stores.journal import MIRROR, PRIMARY
from storage_app.stores.outbox import open_outbox
from tests.factories import unique
from tests.waiting import wait_for

KIND = "count"
DONE = (False, True)


class Server:
    """Where a test's entries go; may be down."""

    def __init__(self):
        self.is_up = True
        self.received = []

    def work(self, entries):
        for entry in entries:
            if not self.is_up:
                raise Unavailable("server", "the plug is out")
            self.received.append(entry.body)
            yield [entry]

    def ping(self):
        if not self.is_up:
            raise Unavailable("server", "the plug is out")


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def hold(tmp_path, server):
    opened = open_outbox(tmp_path / "journal")
    opened.outbox.register(KIND, PRIMARY, server.work)
    yield opened
    opened.close()


def running():
    return {thread.name for thread in threading.enumerate()} & {"outbox", "journal sync", "probes"}


def test_what_is_appended_is_sent_soon_and_in_order(hold, server):
    for number in range(5):
        hold.outbox.append(KIND, number, marks=DONE)
    wait_for(lambda: server.received == [0, 1, 2, 3, 4])
    assert hold.outbox.owed(KIND, PRIMARY) == []


def test_stores_of_one_directory_share_an_outbox_and_the_last_one_ends_it(hold, server, tmp_path):
    other = open_outbox(tmp_path / "journal")
    assert other.outbox is hold.outbox
    hold.close()
    other.outbox.append(KIND, 1, marks=DONE)
    wait_for(lambda: server.received == [1])
    assert running() == {"outbox"}
    other.close()
    assert running() == set()
    later = open_outbox(tmp_path / "journal")
    assert later.outbox is not hold.outbox
    later.close()


def test_closing_sends_what_is_owed(hold, server):
    server.is_up = False
    hold.outbox.append(KIND, 1, marks=DONE)
    wait_for(lambda: hold.outbox._not_before)
    server.is_up = True
    hold.outbox.retry()
    hold.close()
    assert server.received == [1]


def test_what_is_appended_after_the_close_is_sent_and_leaves_no_thread(hold, server):
    hold.close()
    hold.outbox.append(KIND, 1, marks=DONE)
    wait_for(lambda: server.received == [1])
    assert background.wait_for_threads(5.0) == []


def test_an_outbox_whose_holders_are_gone_ends_by_itself(tmp_path, server, monkeypatch):
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.05)
    opened = open_outbox(tmp_path / "journal")
    guarded = breaker_for(unique("server"), server.ping)
    opened.outbox.send_through(guarded)
    opened.outbox.wake()
    wait_for(lambda: "outbox" in running())
    del opened
    gc.collect()
    wait_for(lambda: not running())
    assert outbox._outboxes == {}
    assert not guarded._users


def test_a_chore_that_fails_does_not_keep_the_others_from_being_done(hold, monkeypatch, caplog):
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.02)
    done = []

    def fail():
        raise ZeroDivisionError

    hold.outbox.every(0.02, "dividing", fail)
    hold.outbox.every(0.02, "counting", lambda: done.append(True))
    hold.outbox.wake()
    wait_for(lambda: len(done) > 3)
    assert [record.getMessage() for record in caplog.records] == ["dividing failed"]


def test_a_server_that_is_back_gets_at_once_what_it_is_owed(hold, server, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 60.0)
    monkeypatch.setattr(breaker, "PROBE_SECONDS", 0.05)
    guarded = breaker_for(unique("server"), server.ping)
    hold.outbox.send_through(guarded)
    server.is_up = False
    guarded.trip("a test")
    hold.outbox.append(KIND, 1, marks=DONE)
    wait_for(lambda: hold.outbox._not_before)
    server.is_up = True
    wait_for(lambda: server.received == [1])


def test_trouble_with_the_disk_is_told_once(hold, monkeypatch, caplog):
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.02)
    lock = hold.outbox.journal.directory / "draining.lock"
    lock.mkdir(parents=True)
    hold.outbox.append(KIND, 1, marks=DONE)
    wait_for(lambda: caplog.records)
    time.sleep(0.2)
    assert len(caplog.records) == 1
    lock.rmdir()
    wait_for(lambda: hold.outbox.owed(KIND, PRIMARY) == [])


class TestSync:
    def test_an_entry_that_was_not_synced_is_synced_within_a_second(self, hold, monkeypatch):
        events = []

        def recording_sync(descriptor):
            events.append((b'["count",7]' in os.pread(descriptor, 1 << 20, 0), time.monotonic()))
            os.fdatasync(descriptor)

        monkeypatch.setattr(segments, "sync_data", recording_sync)
        started = time.monotonic()
        for _ in range(3):
            hold.outbox.append(KIND, 7, sync=False)
        assert events == []
        wait_for(lambda: events)
        (is_written, at), *others = events
        assert is_written
        assert not others
        assert outbox.SYNC_SECONDS < 0.5
        assert at - started < 5.0

    def test_a_server_that_hangs_does_not_hold_the_sync_up(self, hold, monkeypatch):
        synced, hanging, released = threading.Event(), threading.Event(), threading.Event()

        def hang(entries):
            hanging.set()
            released.wait(10)
            yield entries

        def recording_sync(descriptor):
            os.fdatasync(descriptor)
            synced.set()

        hold.outbox.register(KIND, MIRROR, hang)
        hold.outbox.append(KIND, 1)
        assert hanging.wait(5)
        monkeypatch.setattr(segments, "sync_data", recording_sync)
        hold.outbox.append(KIND, 2, sync=False)
        assert synced.wait(1.0)
        released.set()

    def test_closing_syncs_what_was_not(self, hold, monkeypatch):
        synced = []
        monkeypatch.setattr(outbox, "SYNC_SECONDS", 60.0)
        monkeypatch.setattr(segments, "sync_data", synced.append)
        hold.outbox.append(KIND, 1, sync=False)
        hold.close()
        assert len(synced) == 1


class TestWorker:
    def test_one_round_follows_a_wake_and_the_thread_ends(self):
        rounds = []
        worker = Worker("worker", lambda: rounds.append(True))
        for _ in range(3):
            worker.wake()
            assert background.wait_for_threads(5.0) == []
        assert len(rounds) == 3

    def test_no_wake_is_lost_while_a_round_ends(self):
        done = []
        wanted = []
        worker = Worker("worker", lambda: done.extend(wanted[len(done) :]))
        for number in range(2000):
            wanted.append(number)
            worker.wake()
        wait_for(lambda: done == wanted)

    def test_a_round_that_fails_is_told_and_followed_by_others(self, monkeypatch, caplog):
        monkeypatch.setattr(background, "FAULT_SECONDS", 0.01)
        turns = iter([0, 0, 1])

        def divide():
            assert 1 / next(turns)

        worker = Worker("worker", divide)
        worker.wake()
        assert background.wait_for_threads(5.0) == []
        assert [record.getMessage() for record in caplog.records] == [
            "A round of worker failed"
        ] * 2

    def test_the_end_comes_after_the_round_at_hand_and_one_more(self):
        begun, rounds = threading.Event(), []

        def work():
            begun.set()
            time.sleep(0.05)
            rounds.append(True)
            return 60.0

        worker = Worker("worker", work)
        worker.wake()
        begun.wait(5)
        assert worker.end(5.0)
        assert len(rounds) == 2

    def test_a_thread_may_end_its_own_worker(self):
        ended = []
        worker = Worker("worker", lambda: ended.append(worker.end(5.0)))
        worker.wake()
        assert background.wait_for_threads(5.0) == []
        assert ended == [True, True]

    def test_a_forked_child_has_a_thread_of_its_own(self):
        rounds = []
        worker = Worker("worker", lambda: rounds.append(os.getpid()) or 60.0)
        worker.wake()
        wait_for(lambda: rounds)
        child = os.fork()
        if child == 0:
            try:
                worker.wake()
                wait_for(lambda: os.getpid() in rounds)
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert worker.end(5.0)
