from __future__ import annotations

import logging
import time
import timeit

import pytest

from storage_app import create_data_store
from storage_app.contract.roles import KlineStore, PositionStore, StrategyBook, TradeLedger
from storage_app.stores import slow
from storage_app.stores.slow import watched

BOOK = "55009728/momentum"


class Crawling:
    """Methods of several roles that take as long as `seconds` says."""

    seconds = 0.0

    def get_held_days(self, code, account_id):
        time.sleep(self.seconds)
        return 3

    def get_kline(self, code, days=None):
        time.sleep(self.seconds)

    def query_trades(self, account_id, limit=1000):
        time.sleep(self.seconds)

    def get_strategy_params(self, strategy_name, version=None):
        time.sleep(self.seconds)
        raise LookupError(strategy_name)


@pytest.fixture
def backend():
    return Crawling()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, slow.__name__)
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_slow_call_tells_its_method_its_book_its_code_and_how_long(backend, lines):
    backend.seconds = 0.005
    assert watched(PositionStore, backend.get_held_days)("600000.SH", account_id=BOOK) == 3
    (line,) = lines()
    told, _, duration = line.partition(" took ")
    assert told == f"get_held_days {BOOK} 600000.SH"
    assert 5 <= float(duration.removesuffix(" ms")) < 500


@pytest.mark.parametrize(
    ("role", "method", "fast", "slow_one"),
    [
        (PositionStore, "get_held_days", 0.0, 0.002),
        (KlineStore, "get_kline", 0.002, 0.025),
        (TradeLedger, "query_trades", 0.025, 0.110),
    ],
)
def test_each_role_has_its_own_patience(backend, lines, role, method, fast, slow_one):
    call = watched(role, getattr(backend, method))
    arguments = ["600000.SH", BOOK][: 2 if role is PositionStore else 1]
    # A loaded machine may make the fast one slow, so the best of a few counts.
    for _ in range(20):
        backend.seconds, before = fast, len(lines())
        call(*arguments)
        if len(lines()) == before:
            break
    else:
        pytest.fail(f"{method} of {fast} s counts as slow")
    backend.seconds = slow_one
    call(*arguments)
    assert len(lines()) == before + 1


def test_a_slow_failure_is_told_as_well(backend, lines):
    backend.seconds = 0.11
    with pytest.raises(LookupError):
        watched(StrategyBook, backend.get_strategy_params)("Alpha")
    assert lines()[0].startswith("get_strategy_params Alpha took ")


def test_a_call_with_wrong_arguments_fails_as_python_words_it(backend, lines, monkeypatch):
    monkeypatch.setitem(slow._THRESHOLDS, PositionStore, -1.0)
    with pytest.raises(TypeError, match="get_held_days"):
        watched(PositionStore, backend.get_held_days)("600000.SH")
    assert lines()[0].startswith("get_held_days 600000.SH took ")


def test_watching_a_fast_call_costs_less_than_a_microsecond():
    def answer(code, account_id):
        return 3

    call = watched(PositionStore, answer)
    number = 20_000
    pairs = [
        [
            # Of this thread alone, so that neighbours do not count.
            timeit.timeit(lambda f=f: f("600000.SH", BOOK), number=number, timer=time.thread_time)
            for f in (call, answer)
        ]
        for _ in range(10)
    ]
    assert (min(p[0] for p in pairs) - min(p[1] for p in pairs)) / number < 1e-6


def test_stores_are_watched(data_dir, lines, monkeypatch):
    monkeypatch.setitem(slow._THRESHOLDS, PositionStore, 0.0)
    store = create_data_store("file")
    store.get_held_days("600000.SH", BOOK)
    store.close()
    assert lines()[0].startswith(f"get_held_days {BOOK} 600000.SH took ")
