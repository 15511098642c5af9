from __future__ import annotations

import logging
import os
import time

import pytest

from storage_app.contract.errors import Conflict, Unavailable
from storage_app.stores import breaker as breakers
from storage_app.stores.breaker import Breaker, breaker_for
from storage_app.stores.redis import RedisPositions
from tests.factories import unique
from tests.waiting import wait_for

OUTAGE = "the plug is out"


class Server:
    """A server that a test takes down; counts what reaches it."""

    def __init__(self):
        self.is_up = True
        self.asked = 0

    def ask(self):
        self.asked += 1
        if not self.is_up:
            raise Unavailable("server", OUTAGE)
        return "answer"


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def breaker(server, monkeypatch):
    monkeypatch.setattr(breakers, "PROBE_SECONDS", 0.02)
    opened = breaker_for(unique("server"), server.ask)
    opened.acquire()
    yield opened
    opened.release()


def take_down(breaker, server):
    server.is_up = False
    with pytest.raises(Unavailable, match=OUTAGE):
        breaker.call(server.ask)


def wait_until_closed(breaker):
    wait_for(lambda: not breaker.is_open)


def test_calls_pass_while_the_server_is_well(breaker, server):
    assert breaker.call(server.ask) == "answer"
    assert not breaker.state().is_open


def test_an_outage_is_asked_about_once_and_then_refused_at_once(breaker, server, monkeypatch):
    monkeypatch.setattr(Breaker, "is_probed", False)  # every question is a call of ours
    take_down(breaker, server)
    asked = server.asked
    seconds = []
    for _ in range(100):
        started = time.perf_counter()
        with pytest.raises(Unavailable, match=OUTAGE):
            breaker.call(server.ask)
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[50] < 0.001
    assert server.asked == asked
    assert (breaker.state().is_open, breaker.state().refused) == (True, 100)
    assert breaker.state().since is not None
    server.is_up = True
    breaker.probe()
    assert not breaker.is_open


def test_a_probe_in_the_background_finds_the_server_back(breaker, server):
    recovered = []
    breaker.acquire(lambda: recovered.append(True))
    take_down(breaker, server)
    time.sleep(0.1)
    assert breaker.is_open
    server.is_up = True
    wait_until_closed(breaker)
    assert breaker.call(server.ask) == "answer"
    assert recovered == [True]


def test_an_outage_is_one_warning_and_its_end_one_line_with_figures(breaker, server, caplog):
    caplog.set_level(logging.INFO, "storage_app.stores.breaker")
    take_down(breaker, server)
    for _ in range(3):
        with pytest.raises(Unavailable):
            breaker.call(server.ask)
    server.is_up = True
    wait_until_closed(breaker)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "INFO"]
    assert "3 calls were refused" in lines[1][1]


def test_a_call_that_began_before_the_server_was_found_well_does_not_open_it_again(breaker, server):
    server.is_up = False

    def fail_late():
        # Meanwhile somebody else is answered.
        server.is_up = True
        breaker.found_well()
        raise Unavailable("server", OUTAGE)

    with pytest.raises(Unavailable):
        breaker.call(fail_late)
    assert not breaker.is_open
    take_down(breaker, server)
    assert breaker.is_open


def test_an_error_of_the_caller_does_not_open_the_breaker(breaker):
    def refuse():
        raise Conflict("taken")

    with pytest.raises(Conflict):
        breaker.call(refuse)
    assert not breaker.is_open


def test_nobody_is_probed_for_a_store_that_was_closed(breaker, server):
    take_down(breaker, server)
    breaker.release()
    time.sleep(0.1)
    asked = server.asked
    time.sleep(0.1)
    assert server.asked == asked
    assert not breaker.is_open
    breaker.acquire()


def test_a_forked_child_probes_for_itself(breaker, server):
    take_down(breaker, server)
    child = os.fork()
    if child == 0:
        server.is_up = True
        breaker.acquire()
        wait_until_closed(breaker)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert breaker.is_open


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_lost_redis_costs_one_timeout_and_comes_back_by_itself(redis_server, redis, how):
    positions = RedisPositions()
    breaker = breaker_for(unique("redis"), positions.ping)
    breaker.acquire()
    breaker.call(positions.read_book, "55009728")
    getattr(redis_server, how)()
    try:
        seconds = [time_of_failure(breaker, positions) for _ in range(20)]
        # The timeout is half a second, so twice it would be two.
        assert seconds[0] < 0.95
        assert sorted(seconds[1:])[-2] < 0.45
        assert sorted(seconds[1:])[9] < 0.001
    finally:
        if how == "freeze":
            redis_server.thaw()
        redis_server.start()
    wait_until_closed(breaker)
    assert breaker.call(positions.read_book, "55009728").positions == {}
    breaker.release()
    positions.close()


def time_of_failure(breaker, positions):
    started = time.perf_counter()
    with pytest.raises(Unavailable):
        breaker.call(positions.read_book, "55009728")
    return time.perf_counter() - started
