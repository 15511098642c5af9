from __future__ import annotations

import json
from datetime import timedelta

import pytest

from storage_app import alerts, tasks
from storage_app.stores import journal as journals
from storage_app.stores import outages
from storage_app.stores.breaker import states
from storage_app.stores.compose import create_data_store
from storage_app.stores.draining import drain
from tests import servers
from tests.faults.test_trades import ACCOUNT, record, recover, uids_in_clickhouse, wait_for
from tests.faults.test_trades import store as store
from tests.receivers import receiver as receiver
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])


def kinds(receiver):
    assert alerts.flush(60)
    return [message["type"] for message in receiver.messages]


@pytest.fixture
def redis_outage(redis, redis_server, store):
    assert store.get_positions(ACCOUNT) == {}
    redis_server.kill()
    yield
    redis_server.start()


def test_a_killed_redis_is_one_message_and_its_return_another(receiver, redis_outage, redis_server):
    store = create_data_store("hybrid")
    for _ in range(20):
        store.get_positions(ACCOUNT)
    store.health_check()
    assert kinds(receiver) == ["warning"]
    assert receiver.titles[0].startswith("redis ")
    redis_server.start()
    wait_for(lambda: not states()["redis"].is_open)
    wait_for(lambda: kinds(receiver) == ["warning", "success"])
    assert receiver.titles[1].startswith("redis ")
    assert f"{clock.today()}" in receiver.messages[1]["message"]
    store.close()


def test_an_outage_is_noted_with_its_time_until_the_server_is_back(store, data_dir):
    assert outages.current(data_dir) == {}
    before = clock.now()
    servers.CLICKHOUSE.kill()
    record(store)
    wait_for(lambda: "clickhouse" in outages.current(data_dir))
    noted = outages.current(data_dir)["clickhouse"]
    assert before <= noted.since <= clock.now()
    assert noted.reason
    recover()
    wait_for(lambda: outages.current(data_dir) == {})


def test_a_note_that_a_dead_process_left_goes_with_the_next_health_check(store, data_dir, receiver):
    outages._note(data_dir / "journal", "clickhouse", "it was down once")
    alerts.send("outage clickhouse", "clickhouse is down", standing=True)
    store.health_check()
    assert outages.current(data_dir) == {}
    assert kinds(receiver) == ["warning", "success"]


def test_an_outage_that_nobody_runs_into_is_told_by_health_checks(
    store, data_dir, receiver, redis, redis_server, monkeypatch
):
    redis_server.kill()
    monkeypatch.setattr(outages, "DOUBT_SECONDS", 0.2)
    store.health_check()
    assert set(outages.current(data_dir)) == {"redis"}
    wait_for(lambda: store.health_check() and kinds(receiver) == ["warning"])
    redis_server.start()
    wait_for(lambda: store.health_check()["redis"] == "ok")
    assert kinds(receiver) == ["warning", "success"]


def test_writes_that_are_owed_for_long_are_told_until_they_have_arrived(
    store, data_dir, receiver, monkeypatch
):
    servers.CLICKHOUSE.kill()
    record(store)
    record(store)
    outages.tell_owed({kind: (one["count"], one["age"]) for kind, one in store.owed().items()})
    assert [title for title in receiver.titles if "clickhouse" not in title] == []
    monkeypatch.setattr(outages, "OWED_SECONDS", 0.0)
    for _ in range(3):
        assert drain(data_dir, 0.2)["trades"].count == 2
    assert alerts.flush(60)
    (message,) = [one for one in receiver.messages if "clickhouse" not in one["title"]]
    assert message["message"].startswith("trades: 2, ")
    recover()
    wait_for(lambda: not store.owed())
    assert drain(data_dir, 1.0) == {}
    assert kinds(receiver).count("success") == 2


def test_draining_brings_what_a_dead_process_left(store, data_dir):
    servers.CLICKHOUSE.kill()
    uid = record(store)
    store.close()
    servers.CLICKHOUSE.start()
    assert outages.owed(data_dir / "journal")["trades"].count == 1
    assert drain(data_dir, 20.0) == {}
    assert uids_in_clickhouse() == [uid]


def test_the_job_of_each_minute_tells_what_is_left(store, data_dir):
    servers.CLICKHOUSE.kill()
    record(store)
    assert tasks.drain_journals() == {"trades": 1}
    recover()
    wait_for(lambda: tasks.drain_journals() == {})


def test_without_a_journal_draining_opens_no_store(data_dir, receiver):
    assert drain(data_dir, 20.0) == {}
    assert not (data_dir / "journal").exists()
    assert states() == {} or not any(state.is_open for state in states().values())


def test_what_is_owed_is_counted_without_a_store(data_dir):
    journal = journals.Journal(data_dir / "journal")
    entries = [journal.append("trades", {"number": number}) for number in range(3)]
    journal.append("capital", {})
    journal.append("positions", {}, marks=(True, False))
    found = outages.owed(data_dir / "journal")
    assert {kind: one.count for kind, one in found.items()} == {"trades": 3, "capital": 1}
    assert all(0 <= one.age < 60 for one in found.values())
    journal.mark(entries, journals.PRIMARY)
    assert set(outages.owed(data_dir / "journal")) == {"capital"}
    assert outages.has_work(data_dir / "journal")
    journal.close()


def test_a_damaged_journal_is_told_once(data_dir, receiver):
    journal = journals.Journal(data_dir / "journal")
    first, _ = (journal.append("trades", {"number": number}) for number in range(2))
    with first.place.path.open("r+b") as stream:
        stream.seek(first.place.offset + 40)
        stream.write(b"\xff")
    for _ in range(3):
        journal.tail().read()
    assert kinds(receiver) == ["warning"]
    assert first.place.path.name in receiver.messages[0]["message"]
    journal.close()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"since": "yesterday"})])
def test_a_note_that_is_not_whole_tells_when_it_was_written(data_dir, text):
    path = data_dir / "journal" / "outages" / "redis.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (noted,) = outages.current(data_dir).values()
    assert abs(noted.since - clock.now()) < timedelta(seconds=60)


def test_a_disk_that_takes_no_note_changes_nothing(store, data_dir, redis, redis_server):
    (data_dir / "journal").mkdir(exist_ok=True)
    (data_dir / "journal" / "outages").write_text("a file where a directory should be")
    store.get_positions(ACCOUNT)
    redis_server.kill()
    store.get_positions(ACCOUNT)
    assert store.health_check()["redis"] == "down"
    assert outages.current(data_dir) == {}
    redis_server.start()
    wait_for(lambda: not states()["redis"].is_open)
