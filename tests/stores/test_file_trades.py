from __future__ import annotations

import logging
import resource
import signal
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_app.contract.errors import Conflict, Corrupt, Unavailable
from storage_app.stores.file import trade_files, trade_lines
from storage_app.stores.file.trades import FileTrades
from tests.factories import make_trade, unique
from trades_app.market import clock

ACCOUNT = "55009728"
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)


@pytest.fixture
def store(tmp_path):
    return FileTrades(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trades" / ACCOUNT / "2026.csv"


def uids(store):
    return [row["trade_uid"] for row in store.iter_trades(ACCOUNT)]


class TestTornLine:
    @pytest.mark.parametrize("kept", [1, 40, -1])
    def test_a_torn_last_line_is_cut_off_and_told_by_the_next_read(self, store, path, caplog, kept):
        first, second = make_trade(), make_trade()
        store.write_trades([first])
        whole = path.read_bytes()
        store.write_trades([second])
        torn = path.read_bytes()[len(whole) :][:kept]
        path.write_bytes(whole + torn)
        caplog.set_level(logging.WARNING)
        assert uids(store) == [first.trade_uid]
        (record,) = caplog.records
        assert str(path) in record.message
        assert f"{len(torn)} bytes" in record.message
        assert path.read_bytes() == whole

    def test_a_torn_last_line_is_cut_off_by_the_next_write(self, store, path, caplog):
        first, second = make_trade(), make_trade()
        store.write_trades([first, second])
        path.write_bytes(path.read_bytes()[:-20])
        caplog.set_level(logging.WARNING)
        assert store.write_trades([first, second]).new == 1
        assert sorted(uids(store)) == sorted([first.trade_uid, second.trade_uid])
        assert len(caplog.records) == 1

    def test_a_torn_header_starts_the_file_anew(self, tmp_path, path):
        path.parent.mkdir(parents=True)
        path.write_bytes(trade_lines.HEADER[:30])
        store = FileTrades(tmp_path)
        store.write_trades([make_trade()])
        assert path.read_bytes().startswith(trade_lines.HEADER)
        assert len(uids(store)) == 1

    def test_a_killed_writer_leaves_whole_lines_and_every_one_it_was_told_of(self, store, tmp_path):
        acknowledged = tmp_path / "acknowledged"
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from storage_app.stores.file.trades import FileTrades\n"
            "from tests.factories import make_trade\n"
            "store, log = FileTrades(Path(sys.argv[1])), open(sys.argv[2], 'a', buffering=1)\n"
            "while True:\n"
            "    trades = [make_trade(trade_id='') for _ in range(7)]\n"
            "    store.write_trades(trades)\n"
            "    log.write(''.join(trade.trade_uid + '\\n' for trade in trades))\n"
        )
        for _ in range(3):
            size = acknowledged.stat().st_size if acknowledged.exists() else 0
            writer = subprocess.Popen(
                [sys.executable, "-c", script, str(tmp_path), str(acknowledged)],
                cwd=Path(__file__).parents[2],
            )
            while not acknowledged.exists() or acknowledged.stat().st_size < size + 2000:
                time.sleep(0.01)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        told = set(acknowledged.read_text().split())
        assert told <= set(uids(store))
        again = make_trade(trade_id="")
        store.write_trades([again])
        assert again.trade_uid in uids(store)

    def test_a_full_disk_leaves_no_part_of_a_line(self, store, path):
        store.write_trades([make_trade()])
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        try:
            with pytest.raises(Unavailable, match="too large"):
                store.write_trades([make_trade()])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        store.write_trades([make_trade()])
        assert len(uids(store)) == 2


class TestDamage:
    def test_a_file_of_something_else_is_refused_with_its_path(self, store, path):
        path.parent.mkdir(parents=True)
        path.write_text("date,price\n2026-03-02,10\n")
        for call in (lambda: uids(store), lambda: store.write_trades([make_trade()])):
            with pytest.raises(Corrupt, match="header") as caught:
                call()
            assert caught.value.path == path

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"10.000", b"ten"),
            (b"2026-03-02", b"2026-13-02"),
            (b"buy_trade", b"bought"),
            (b",1000,", b","),
            (b"unknown", b"\xff\xfe"),
        ],
    )
    def test_a_line_that_is_no_trade_is_refused(self, store, path, old, new):
        store.write_trades([make_trade()])
        path.write_bytes(path.read_bytes().replace(old, new, 1))
        with pytest.raises(Corrupt) as caught:
            uids(store)
        assert caught.value.path == path

    def test_an_empty_file_has_no_trades(self, store, path):
        path.parent.mkdir(parents=True)
        path.touch()
        assert uids(store) == []
        store.write_trades([make_trade()])
        assert len(uids(store)) == 1


class TestIndex:
    def test_lines_of_another_process_are_known(self, tmp_path):
        one, two = FileTrades(tmp_path), FileTrades(tmp_path)
        trade = make_trade(trade_id="T-1")
        one.write_trades([make_trade()])
        two.write_trades([trade])
        assert one.write_trades([trade]).same == 1
        with pytest.raises(Conflict):
            one.write_trades([make_trade(trade_id="T-1", volume=7)])

    def test_a_file_that_was_put_in_its_place_is_read_anew(self, store, path):
        old, new = make_trade(), make_trade()
        store.write_trades([old])
        content = path.read_bytes()
        replaced = path.with_suffix(".new")
        replaced.write_bytes(trade_lines.HEADER + trade_lines.encode([new, make_trade()]))
        replaced.rename(path)
        assert store.write_trades([new]).same == 1
        assert store.write_trades([old]).new == 1
        assert content[len(trade_lines.HEADER) :] in path.read_bytes()

    def test_an_account_has_a_file_for_each_year(self, store, tmp_path):
        days = [MORNING - timedelta(days=400 * n) for n in range(3)]
        store.write_trades([make_trade(timestamp=day) for day in days])
        names = sorted(path.name for path in (tmp_path / "trades" / ACCOUNT).glob("*.csv"))
        assert names == ["2023.csv", "2025.csv", "2026.csv"]
        assert len(store.query_trades(ACCOUNT, date(2026, 1, 1))) == 1


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, texts, texts, texts, st.integers(0, 10**12))
def test_any_text_survives_in_one_line(tmp_path, name, remark, strategy, number, milliseconds):
    store = FileTrades(tmp_path / unique("text"))
    trade = make_trade(
        name=name,
        remark=remark,
        strategy_name=strategy,
        order_id=number,
        timestamp=MORNING + timedelta(milliseconds=milliseconds),
    )
    store.write_trades([trade])
    (row,) = store.query_trades(ACCOUNT)
    assert (row["name"], row["remark"], row["strategy_name"]) == (name, remark, strategy)
    assert row["order_id"] == number
    assert len(trade_lines.encode([trade]).splitlines()) == 1
    assert store.write_trades([trade]).same == 1


def test_the_lock_belongs_to_the_account(store, tmp_path):
    with trade_files.lock_directory(tmp_path / "trades" / "66001234"):
        assert store.write_trades([make_trade()]).new == 1
