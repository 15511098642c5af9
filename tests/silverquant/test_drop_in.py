from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from storage_app import silverquant
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import BAR_COLUMNS, PositionFlag, PositionState
from storage_app.legacy.text import LegacyFileError
from storage_app.silverquant import hook, registry
from storage_app.stores.compose import create_data_store
from tests.factories import make_bars
from tests.silverquant import scripts
from tests.silverquant.conftest import ACCOUNT
from tests.silverquant.scripts import Held
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("clickhouse", "trading_morning"),
]

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = f"{ACCOUNT}/swing"
CODE, OTHER = "600000.SH", "000001.SZ"
LOCK = threading.Lock()


@pytest.fixture
def paths(tmp_path):
    return scripts.Paths(tmp_path / "strategy")


@pytest.fixture
def tools(store, paths):
    """`tools.utils_cache` as a script sees it below the first line, bound to a book."""
    hook.install()
    silverquant.bind(paths.held, ACCOUNT, "swing")
    registry.use_store(store)
    yield scripts.load_tools()
    hook.uninstall()
    scripts.forget_tools()
    registry.forget_all()


def quote(high, low):
    return {"high": high, "low": low}


def scan(tools, paths, quotes, at="10:00", held=(CODE, OTHER), **more):
    positions = [Held(code) for code in held]
    return tools.update_max_prices(
        LOCK, quotes, positions, at, paths.max, paths.min, paths.held, **more
    )


def test_the_life_of_a_position_looks_as_it_did_in_files(tools, paths, store):
    tools.new_held(LOCK, paths.held, [CODE])
    assert tools.load_json(paths.held) == {CODE: {"day_count": 0}}
    assert scan(tools, paths, {CODE: quote(11, 9)}) == ({}, {CODE: {"day_count": 0}})
    with clock.pinned(datetime(2026, 3, 3, 8, tzinfo=clock.SHANGHAI)):
        assert tools.all_held_inc(LOCK, paths.held) is True
        assert tools.all_held_inc(LOCK, paths.held) is False
    held = {"_inc_date": "2026-03-03", CODE: {"day_count": 1}}
    assert tools.load_json(paths.held) == held
    assert scan(tools, paths, {CODE: quote(11.0004, 9)}) == ({CODE: 11.0}, held)
    assert scan(tools, paths, {CODE: quote(10.5, 8.5)}) == ({CODE: 11.0}, held)
    assert tools.load_json(paths.max) == {CODE: 11.0}
    assert tools.load_json(paths.min) == {CODE: 8.5}
    assert store.get_positions(BOOK)[CODE] == PositionState(CODE, 1, 11.0, 8.5)
    assert not Path(paths.held).exists(), "a bound path is no file any more"


def test_extremes_move_in_continuous_auction_only_and_from_day_one_unless_asked(tools, paths):
    tools.new_held(LOCK, paths.held, [CODE])
    assert scan(tools, paths, {CODE: quote(11, 9)}, ignore_open_day=False)[0] == {CODE: 11}
    for moment in ("09:29", "11:31", "14:58"):
        assert scan(tools, paths, {CODE: quote(12, 8)}, moment, ignore_open_day=False)[0] == {
            CODE: 11
        }


def test_a_further_buy_keeps_the_age_where_files_began_anew(tools, paths, store):
    store.update_held_days(CODE, 5, BOOK)
    tools.new_held(LOCK, paths.held, [CODE, OTHER])
    assert tools.load_json(paths.held) == {CODE: {"day_count": 5}, OTHER: {"day_count": 0}}


def test_a_sell_of_a_part_keeps_age_and_extremes_where_fills_are_recorded(tools, paths, store):
    moment = clock.now()
    store.record_fill(BOOK, moment, CODE, "", "BUY", 10, 1000, trade_id="1")
    store.update_held_days(CODE, 5, BOOK)
    store.raise_extremes(BOOK, {CODE: (11.0, 9.0)})
    store.record_fill(BOOK, moment, CODE, "", "SELL", 10, 300, trade_id="2")
    sell_as_callbacks_do(tools, paths)
    assert tools.load_json(paths.held) == {CODE: {"day_count": 5}}
    assert tools.load_json(paths.max) == {CODE: 11.0}
    store.record_fill(BOOK, moment, CODE, "", "SELL", 10, 700, trade_id="3")
    sell_as_callbacks_do(tools, paths)
    assert tools.load_json(paths.held) == {}
    assert tools.load_json(paths.max) == {}


def sell_as_callbacks_do(tools, paths):
    assert tools.del_held_day(LOCK, paths.held, CODE) is True
    tools.del_key(LOCK, paths.max, CODE)
    tools.del_keys(LOCK, paths.min, [CODE])


def test_a_sell_of_unknown_volume_stays_in_doubt_until_somebody_knows(tools, paths, store):
    store.update_held_days(CODE, 5, BOOK)
    store.raise_extremes(BOOK, {CODE: (11.0, 9.0)})
    sell_as_callbacks_do(tools, paths)
    kept = PositionState(CODE, 5, 11.0, 9.0, flag=PositionFlag.UNCONFIRMED)
    assert store.get_positions(BOOK) == {CODE: kept}
    tools.new_held(LOCK, paths.held, [CODE])
    assert store.get_positions(BOOK) == {CODE: PositionState(CODE, 0)}


def test_a_sell_of_what_is_not_held_is_no_position(tools, paths, store):
    assert tools.del_held_day(LOCK, paths.held, "204001.SH") is True
    assert store.get_positions(BOOK) == {}


def test_the_morning_scan_of_the_broker_adds_and_removes(tools, paths, store):
    store.update_held_days(CODE, 5, BOOK)
    store.update_max_price(CODE, 11, BOOK)
    held = tools.load_json(paths.held)
    held[OTHER] = {"day_count": 0}
    tools.save_json(paths.held, held)
    assert store.get_positions(BOOK) == {
        CODE: PositionState(CODE, 5, 11.0), OTHER: PositionState(OTHER, 0)
    }  # fmt: skip
    held = tools.load_json(paths.held)
    del held[CODE]
    tools.save_json(paths.held, held)
    assert store.get_positions(BOOK) == {OTHER: PositionState(OTHER, 0)}


def test_writing_what_was_read_a_moment_ago_undoes_nobodys_work(tools, paths, store):
    store.update_held_days(CODE, 5, BOOK)
    held, highest = tools.load_json(paths.held), tools.load_json(paths.max)
    store.open_positions(BOOK, [OTHER])
    store.update_held_days(CODE, 6, BOOK)
    store.raise_extremes(BOOK, {CODE: (11.0, 9.0)})
    tools.save_json(paths.held, held)
    tools.save_json(paths.max, highest)
    assert store.get_positions(BOOK) == {
        CODE: PositionState(CODE, 6, 11.0, 9.0), OTHER: PositionState(OTHER, 0)
    }  # fmt: skip


def test_a_script_that_counts_by_itself_keeps_the_date_of_its_increment(tools, paths, store):
    store.record_fill(BOOK, clock.now(), CODE, "", "BUY", 10, 1000, trade_id="1")
    held = tools.load_json(paths.held)
    held["_inc_date"] = "2026-03-02"
    held[CODE]["day_count"] += 1
    tools.save_json(paths.held, held)
    book = store.read_book(BOOK)
    assert book.increment_date == date(2026, 3, 2)
    assert (book.positions[CODE].held_days, book.positions[CODE].volume) == (1, 1000)
    assert tools.all_held_inc(LOCK, paths.held) is False


def test_what_a_strategy_adds_to_a_holding_stays_beside_the_path(tools, paths, store):
    tools.save_json(paths.held, {CODE: {"day_count": 0, "why": "break-out"}})
    assert tools.load_json(paths.held) == {CODE: {"day_count": 0, "why": "break-out"}}
    assert store.get_held_days(CODE, BOOK) == 0


def test_prices_can_be_set_and_a_leftover_removed(tools, paths, store):
    store.update_held_days(CODE, 5, BOOK)
    tools.save_json(paths.max, {CODE: 12.3456, OTHER: 3})
    assert tools.load_json(paths.max) == {CODE: 12.346, OTHER: 3.0}
    assert tools.load_json(paths.held) == {CODE: {"day_count": 5}}
    tools.del_key(LOCK, paths.max, OTHER)
    tools.del_key(LOCK, paths.max, CODE)
    assert tools.load_json(paths.max) == {CODE: 12.346}, "it belongs to the open position"


def test_the_flat_form_has_bare_numbers(tools, paths, store, tmp_path):
    silverquant.bind(tmp_path / "old" / "held_days.json", ACCOUNT, "swing")
    store.update_held_days(CODE, 5, BOOK)
    flat = str(tmp_path / "old" / "held_days.json")
    assert tools.load_json(flat) == {CODE: 5}
    tools.save_json(flat, {CODE: 5, OTHER: 0})
    assert tools.load_json(paths.held) == {CODE: {"day_count": 5}, OTHER: {"day_count": 0}}
    silverquant.bind(tmp_path / "odd.txt", ACCOUNT, "swing", kind="held", form="flat")
    assert tools.load_json(str(tmp_path / "odd.txt")) == {CODE: 5, OTHER: 0}


def test_orders_reach_the_ledger_and_the_file_that_reports_read(tools, paths, store):
    order = (
        str(int(clock.now().timestamp())),
        CODE,
        "浦发银行",
        "限买委托",
        "买入委托",
        10.5,
        1000,
    )
    tools.record_deal(LOCK, paths.deals, *order)
    (row,) = store.query_trades(ACCOUNT)
    assert (row["order_type"], row["price_type"], row["price"]) == ("buy_order", "limit", 10.5)
    assert (row["strategy_name"], row["remark"]) == ("swing", "买入委托")
    assert pd.read_csv(paths.deals)["成交量"].tolist() == [1000]


def test_an_order_of_unknown_kind_is_not_guessed_and_not_lost(tools, paths, store, caplog):
    tools.record_deal(LOCK, paths.deals, "1772415060", CODE, "", "打新", "", 10.5, 1000)
    assert store.query_trades(ACCOUNT) == []
    assert pd.read_csv(paths.deals)["类型"].tolist() == ["打新"]
    assert "打新" in caplog.text


def test_paths_that_nobody_bound_stay_files(tools, tmp_path, store):
    other = scripts.Paths(tmp_path / "other")
    tools.new_held(LOCK, other.held, [CODE])
    assert json.loads(Path(other.held).read_text()) == {CODE: {"day_count": 0}}
    tools.save_json(str(tmp_path / "notes.json"), {"x": 1})
    assert tools.load_json(str(tmp_path / "notes.json")) == {"x": 1}
    assert tools.all_held_inc(LOCK, other.held) is True
    assert scan(tools, other, {CODE: quote(11, 9)})[0] == {CODE: 11}
    assert tools.del_held_day(LOCK, other.held, CODE) is True
    tools.del_key(LOCK, other.held, CODE)
    tools.record_deal(LOCK, other.deals, "1772415060", CODE, "", "限买委托", "", 10.5, 1000)
    assert "_inc_date" in tools.load_json(other.held)
    assert store.list_books() == []
    assert store.query_trades(ACCOUNT) == []


def test_files_of_two_books_do_not_mix(tools, paths, tmp_path):
    other = scripts.Paths(tmp_path / "other")
    silverquant.bind(other.held, ACCOUNT, "other")
    with pytest.raises(InvalidInput, match="must be bound to book"):
        tools.update_max_prices(LOCK, {}, [], "10:00", other.max, paths.min, paths.held)


def test_a_blank_book_takes_over_what_the_files_hold(store, tmp_path, mode):
    paths = scripts.Paths(tmp_path / "strategy")
    Path(paths.held).write_text('{"_inc_date": "2026-03-02", "600000.SH": {"day_count": 3}}')
    Path(paths.max).write_text('{"600000.SH": 11.5, "000001.SZ": 9}')
    silverquant.bind(paths.held, ACCOUNT, "swing")
    registry.use_store(store)
    hook.install()
    try:
        tools = scripts.load_tools()
        assert tools.all_held_inc(LOCK, paths.held) is False, "done by the files today"
        assert tools.load_json(paths.max) == {CODE: 11.5}
        assert store.get_held_days(CODE, BOOK) == 3
        Path(paths.held).write_text("{}")
        registry.use_store(create_data_store(mode))
        assert tools.load_json(paths.held)[CODE] == {"day_count": 3}, "and never again"
        registry.store().close()
    finally:
        hook.uninstall()
        scripts.forget_tools()
        registry.forget_all()


def test_a_damaged_file_is_refused_and_not_taken_for_no_positions(tools, paths):
    Path(paths.held).write_text('{"600000.SH": {"day_c')
    with pytest.raises(LegacyFileError, match=r"positions\.json"):
        tools.load_json(paths.held)


def test_bars_come_in_the_shape_that_strategies_know(tools, store):
    store.write_klines(make_bars(CODE, days=5))
    frame = tools.get_kline(CODE, days=3)
    assert list(frame.columns) == list(BAR_COLUMNS)
    assert frame["datetime"].tolist() == [20260304, 20260305, 20260306]
    assert frame["datetime"].dtype == "int64"
    assert tools.get_kline(CODE, 1, unit="lot")["volume"].tolist() == [1000]
    history = tools.get_history([CODE, OTHER], 2, columns=["datetime", "close"])
    assert list(history) == [CODE]
    assert history[CODE].columns.tolist() == ["datetime", "close"]
    with pytest.raises(InvalidInput, match="unit"):
        tools.get_kline(CODE, unit="ton")


def test_a_name_without_meaning_and_an_account_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"odd\.txt"):
        silverquant.bind(tmp_path / "odd.txt", ACCOUNT)
    with pytest.raises(InvalidInput, match="account"):
        silverquant.bind(tmp_path / "positions.json", "1")


SCRIPT = """
import storage_app.silverquant.install
import threading
from tools.utils_cache import all_held_inc, load_json, new_held
lock = threading.Lock()
new_held(lock, "cache/prod/positions.json", ["600000.SH"])
new_held(lock, "cache/prod/swing/positions.json", ["000001.SZ"])
new_held(lock, "cache/test/positions.json", ["000002.SZ"])
new_held(lock, "elsewhere.json", ["600000.SH"])
print(load_json("cache/prod/positions.json"))
"""
CREDENTIALS = """
import os
QMT_ACCOUNT_ID = '55009728'
CACHE_PROD_PATH = './cache/prod'
CACHE_TEST_PATH = './cache/test'
DATA_STORE_MODE = 'file'
DATA_DIR = {data!r}
TUSHARE_TOKEN = os.environ['NEVER_EXECUTED']
"""


def run_script(directory, script):
    (directory / "cache" / "prod" / "swing").mkdir(parents=True, exist_ok=True)
    (directory / "cache" / "test").mkdir(parents=True, exist_ok=True)
    (directory / "run.py").write_text(script)
    (directory / "tools").mkdir(exist_ok=True)
    for name in ("__init__.py", "utils_cache.py"):
        (directory / "tools" / name).write_text((scripts.EXAMPLES / "tools" / name).read_text())
    return subprocess.run(
        [sys.executable, "run.py"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PLATFORM_ENV_FILES": "no", "SECRET_KEY": "test"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_one_first_line_is_enough(tmp_path):
    """Directories of credentials.py are bound, its folders are namespaces, tests are paper."""
    data = tmp_path / "platform"
    (tmp_path / "credentials.py").write_text(CREDENTIALS.format(data=str(data)))
    done = run_script(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'600000.SH': {'day_count': 0}}"
    books = create_data_store("file", {"data_dir": data})
    assert books.list_books() == [ACCOUNT, f"{ACCOUNT}-paper", f"{ACCOUNT}/swing"]
    assert books.get_held_days("000001.SZ", f"{ACCOUNT}/swing") == 0
    assert (tmp_path / "elsewhere.json").exists()
    assert not (tmp_path / "cache" / "prod" / "positions.json").exists()


def test_a_line_that_comes_too_late_says_who_was_faster(tmp_path):
    late = "from tools.utils_cache import load_json\nimport storage_app.silverquant.install\n"
    done = run_script(tmp_path, late)
    assert done.returncode != 0
    assert "__main__ imported functions of tools.utils_cache already" in done.stderr


def test_a_module_that_was_loaded_but_not_copied_from_is_replaced_in_place(tmp_path):
    script = (
        "import tools.utils_cache\nimport storage_app.silverquant.install\n"
        "import storage_app.silverquant.install\n"
        "print(tools.utils_cache.load_json.__module__)\n"
        "print(tools.utils_cache.load_json('cache/positions.json'))\n"
    )
    done = run_script(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["storage_app.silverquant.functions", "{}"]
    assert "cache/positions.json is bound to no book and stays a file" in done.stderr
