"""Servers behind a bad network: slow, silent, refusing, cutting answers short."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import pytest

from storage_app.contract.types import PositionState
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.orm import OrmAccounts
from storage_app.stores.redis import RedisPositions
from tests import servers
from tests.faults.proxy import Proxy
from tests.faults.trader import Trader
from trades_app.market import clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

ACCOUNT = "55009728"
CODE = "600000.SH"
# Two processes and three servers share a machine with whatever else runs on it.
SLACK = 0.3
RECOVERY = 2.0
READS = 200
OVERHEAD = 0.001


@dataclass(frozen=True)
class Subject:
    """How one server is used: the call that reads, the call that writes, and what is stored."""

    name: str
    server: servers.Server
    variable: str
    limit: float

    def read(self):
        return {
            "redis": ("get_positions", (ACCOUNT,), {}),
            "clickhouse": ("query_trades", (ACCOUNT,), {"limit": 10}),
            "mysql": ("get_account", (ACCOUNT,), {}),
        }[self.name]

    def write(self, number):
        fill = (ACCOUNT, CODE, "BUY", 100, "10.5")
        row = (ACCOUNT, clock.now(), CODE, "浦发银行", "buy_trade", f"{number}", "10.5", 100)
        identity = {"trade_id": f"T-{number}"}
        return {
            "redis": ("apply_fill", fill, {**identity, "timestamp": clock.now()}),
            "clickhouse": ("record_trade", row, identity),
            "mysql": ("update_account_capital", (ACCOUNT, number, 2 * number, number), {}),
        }[self.name]

    def shown(self, answer):
        """Return the number of the newest write that an answer shows."""
        if self.name == "redis":
            return answer[CODE].volume // 100
        if self.name == "clickhouse":
            return len(answer)
        return answer["current_capital"]

    def stored(self):
        """Return the same as it is on the server, asked without the proxy."""
        name, args, kwargs = self.read()
        source: dict[str, Any] = {
            "redis": RedisPositions, "clickhouse": ClickHouseTrades, "mysql": OrmAccounts,
        }  # fmt: skip
        return self.shown(getattr(source[self.name](), name)(*args, **kwargs))

    def seconds_of_files(self, data_dir):
        """Return what the read costs where no server is behind the files, the lower quartile."""
        name, args, kwargs = self.read()
        files: dict[str, Any] = {
            "redis": lambda: FilePositions(data_dir),
            "clickhouse": lambda: FileTrades(data_dir),
            "mysql": lambda: FileAccounts(data_dir / "snapshot"),
        }
        source, seconds = files[self.name](), []
        for _ in range(READS):
            started = time.perf_counter()
            getattr(source, name)(*args, **kwargs)
            seconds.append(time.perf_counter() - started)
        return quartile(seconds)


REDIS = Subject("redis", servers.REDIS, "REDIS_PORT", 0.5)
CLICKHOUSE = Subject("clickhouse", servers.CLICKHOUSE, "CLICKHOUSE_PORT", 0.5)
MYSQL = Subject("mysql", servers.MARIADB, "MYSQL_PORT", 1.0)
SUBJECTS = [REDIS, CLICKHOUSE, MYSQL]
TROUBLES = {
    "slow answers": lambda proxy, limit: proxy.delay(limit * 3),
    "no answers": lambda proxy, _: proxy.swallow(),
    "a black hole": lambda proxy, _: proxy.black_hole(),
    "a refused port": lambda proxy, _: proxy.refuse(),
    "cut connections": lambda proxy, _: proxy.cut(),
}


@pytest.fixture
def prepared(redis, clickhouse, data_dir):
    """An account and a position, before anything goes wrong."""
    store = create_data_store("hybrid")
    store.create_account(ACCOUNT, "Network", "QMT", 1)
    store.replace_positions(ACCOUNT, {CODE: PositionState(CODE, 0, 10.5, 10.5, volume=0)})
    store.close()
    return data_dir


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.name)
def subject(request):
    return request.param


@pytest.fixture
def proxy(subject):
    with Proxy(subject.server.port) as between:
        yield between


@pytest.fixture
def trader(prepared, subject, proxy):
    with Trader(prepared, **{subject.variable: proxy.port}) as program:
        yield program


def call(trader, what):
    name, args, kwargs = what
    return trader.call(name, *args, **kwargs)


def told(trader, level, name):
    return [text for rank, text in trader.log() if rank == level and text.startswith(f"{name} is")]


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def quartile(seconds):
    return sorted(seconds)[len(seconds) // 4]


def test_answers_that_are_slow_within_the_limit_are_no_outage(trader, proxy, subject):
    """MariaDB answers several times in one call."""
    proxy.delay(0.15)
    for number in (1, 2):
        assert not call(trader, subject.write(number)).error
        assert subject.shown(call(trader, subject.read()).value) == number
    assert told(trader, "WARNING", subject.name) == []
    wait_until(lambda: subject.stored() == 2, 10)


def test_trouble_costs_one_timeout_once_and_loses_nothing(prepared, trader, proxy, subject):
    written = 0
    for outage, (trouble, make_trouble) in enumerate(TROUBLES.items(), 1):
        written += 1
        assert not call(trader, subject.write(written)).error
        wait_until(lambda number=written: subject.stored() == number, 10)

        make_trouble(proxy, subject.limit)
        first = call(trader, subject.read())
        assert first.seconds < subject.limit + SLACK, trouble
        assert subject.shown(first.value) == written, trouble
        later = trader.calls([subject.read()] * READS)
        assert {subject.shown(answer.value) for answer in later} == {written}, trouble
        overhead = quartile([one.seconds for one in later]) - subject.seconds_of_files(prepared)
        assert overhead < OVERHEAD, trouble
        written += 1
        answer = call(trader, subject.write(written))
        assert (answer.error, answer.seconds < subject.limit) == ("", True), trouble
        assert subject.shown(call(trader, subject.read()).value) == written, trouble
        if outage == 1:
            time.sleep(1.5)  # a probe finds it down as well
        assert len(told(trader, "WARNING", subject.name)) == outage, trouble

        proxy.restore()
        restored = time.monotonic()
        wait_until(lambda n=outage: len(told(trader, "INFO", subject.name)) == n, 10)
        assert time.monotonic() - restored < RECOVERY + SLACK, trouble
        wait_until(lambda number=written: subject.stored() == number, 10)
        assert subject.shown(call(trader, subject.read()).value) == written, trouble


def test_a_program_begins_with_every_server_silent_and_goes_to_them_later(prepared):
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(one.server.port)) for one in SUBJECTS]
        for between in proxies:
            between.black_hole()
        ports = {one.variable: between.port for one, between in zip(SUBJECTS, proxies, strict=True)}
        trader = stack.enter_context(Trader(prepared, **ports))
        assert trader.opening.seconds < 1.0 + SLACK
        for one in SUBJECTS:
            answer = call(trader, one.write(7))
            assert (answer.error, answer.seconds < one.limit + SLACK) == ("", True), one.name
            assert one.shown(call(trader, one.read()).value) == (7 if one is MYSQL else 1)
        warnings = [text for level, text in trader.log() if level == "WARNING"]
        assert [text for text in warnings if text.startswith("Begun without 3 of 3")], warnings
        for between in proxies:
            between.restore()
        for one in SUBJECTS:
            wait_until(lambda one=one: told(trader, "INFO", one.name), 10)
            wait_until(lambda one=one: one.stored() == (7 if one is MYSQL else 1), 10)
