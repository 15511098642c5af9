from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage_app import silverquant
from storage_app.contract.errors import InvalidInput
from storage_app.silverquant import GmRecorder, QmtRecorder, hook, registry
from tests.silverquant import scripts
from tests.silverquant.conftest import ACCOUNT, wait_for
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("clickhouse", "trading_morning"),
]

MOMENT = 1772415060  # 2026-03-02 09:31
CODE = "600000.SH"
BUY, SELL = 23, 24
REPORTED, PART_CANCELLED, CANCELLED, FILLED, REJECTED = 50, 53, 54, 56, 57


class Heard:
    """The callback class of a strategy: it hears what the recorder passes on."""

    def __init__(self):
        self.heard = []
        self.stock_names = SimpleNamespace(get_name=lambda code: f"Name of {code}")

    def hear(self, what):
        self.heard.append(what)

    on_stock_trade = on_stock_order = on_order_error = on_cancel_error = hear
    on_order_status = on_execution_report = hear


class Qmt(QmtRecorder, Heard):
    pass


class Gm(GmRecorder, Heard):
    pass


@pytest.fixture
def qmt(store):
    callback = Qmt()
    callback.record_into(ACCOUNT, "Swing", namespace="swing", store=store)
    return callback


@pytest.fixture
def gm(store):
    callback = Gm()
    callback.record_into(ACCOUNT, "Swing", namespace="swing", store=store)
    return callback


def order(status=REPORTED, side=BUY, traded=0, **fields):
    values = {
        "order_id": 7, "order_time": MOMENT, "stock_code": CODE, "order_type": side,
        "order_volume": 1000, "traded_volume": traded, "price": 10.52, "price_type": 50,
        "order_status": status, "order_remark": "break-out",
    }  # fmt: skip
    return SimpleNamespace(**values | fields)


def trade(number="A1", side=BUY, volume=600, **fields):
    values = {
        "traded_id": number, "order_id": 7, "traded_time": MOMENT + 3, "stock_code": CODE,
        "order_type": side, "traded_price": 10.5, "traded_volume": volume,
        "order_remark": "break-out",
    }  # fmt: skip
    return SimpleNamespace(**values | fields)


def rows(store):
    found = store.query_trades(ACCOUNT)
    key = lambda row: (row["order_type"], row["trade_id"])  # noqa: E731
    return [(row["order_type"], row["order_id"], row["trade_id"], row["volume"])
            for row in sorted(found, key=key)]  # fmt: skip


def position(store):
    return store.get_positions(f"{ACCOUNT}/swing").get(CODE)


def test_an_order_its_fills_and_the_cancel_of_the_rest_are_recorded_once(qmt, store):
    callbacks = [
        (qmt.on_stock_order, order()),
        (qmt.on_stock_trade, trade("A1", volume=600)),
        (qmt.on_stock_order, order(55, traded=600)),
        (qmt.on_stock_trade, trade("A2", volume=100)),
        (qmt.on_stock_order, order(PART_CANCELLED, traded=700)),
    ]
    for _ in range(2):  # after a reconnect the client tells all of it again
        for call, told in callbacks:
            call(told)
    assert rows(store) == [
        ("buy_order", "7", "", 1000),
        ("buy_trade", "7", "A1", 600),
        ("buy_trade", "7", "A2", 100),
        ("cancel", "7", "", 300),
    ]
    assert position(store).volume == 700
    (fill,) = [row for row in store.query_trades(ACCOUNT) if row["trade_id"] == "A1"]
    assert (fill["name"], fill["strategy_name"]) == (f"Name of {CODE}", "Swing")


def test_the_strategy_hears_orders_always_and_fills_once(qmt):
    first, told = trade(), order()
    for _ in range(2):
        qmt.on_stock_order(told)
        qmt.on_stock_trade(first)
    assert qmt.heard == [told, first, told]


@pytest.mark.parametrize("price", [-1, 10.9])
def test_a_market_order_has_no_price_of_its_own(qmt, store, price):
    qmt.on_stock_order(order(price=price, price_type=47))
    qmt.on_stock_order(order(FILLED, traded=1000, price=price, price_type=47))
    (row,) = store.query_trades(ACCOUNT)
    assert (row["price"], row["price_type"]) == (0, "market")


def test_a_rejected_order_is_an_order_with_its_cancel(qmt, store, caplog):
    qmt.on_stock_order(order(REJECTED))
    qmt.on_order_error(SimpleNamespace(order_id=7, error_msg="no money"))
    qmt.on_cancel_error(SimpleNamespace(order_id=7, error_msg="too late"))
    assert rows(store) == [("buy_order", "7", "", 1000), ("cancel", "7", "", 1000)]
    assert "no money" in caplog.text
    assert "too late" in caplog.text
    assert position(store) is None


def test_what_the_broker_says_later_of_an_order_does_not_replace_what_it_said_first(
    qmt, store, caplog
):
    qmt.on_stock_order(order())
    qmt.on_stock_order(order(price=10.6))
    assert [row["price"] for row in store.query_trades(ACCOUNT)] == [10.52]
    assert "recorded first" in caplog.text


def test_capital_comes_from_the_broker_where_it_tells(qmt, store):
    asset = SimpleNamespace(cash=980_000, frozen_cash=9_500, total_asset=1e6, market_value=10_500)
    qmt.record_into(ACCOUNT, store=store, assets=lambda: asset)
    qmt.on_stock_trade(trade())
    wait_for(lambda: store.get_account(ACCOUNT)["current_capital"] == 989_500)
    asset.cash = 970_000
    with clock.pinned(clock.now() + timedelta(seconds=1)):
        qmt.on_stock_asset(asset)
    wait_for(lambda: store.get_account(ACCOUNT)["current_capital"] == 979_500)


def test_money_that_is_lent_is_no_position(qmt, store):
    qmt.on_stock_trade(trade(side=SELL, stock_code="204001.SH", traded_price=1.5))
    assert rows(store) == [("sell_trade", "7", "A1", 600)]
    assert store.get_positions(f"{ACCOUNT}/swing") == {}


def test_other_business_is_left_to_the_strategy(qmt, store):
    told = trade(side=27)
    assert qmt.on_stock_trade(told) is None
    qmt.on_stock_order(order(side=27))
    assert rows(store) == []
    assert qmt.heard[0] is told


def test_a_recorder_without_a_book_says_what_is_missing():
    with pytest.raises(RuntimeError, match="record_into"):
        Qmt().on_stock_trade(trade())
    with pytest.raises(RuntimeError, match="record_into"):
        Gm().on_execution_report(trade())


def test_the_row_without_a_number_is_left_to_the_file_of_orders(store, tmp_path):
    """SilverQuant's daily report reads the file; the ledger has the broker's own report."""
    paths = scripts.Paths(tmp_path / "strategy")
    hook.install()
    tools = scripts.load_tools()
    silverquant.bind(paths.held, ACCOUNT)
    registry.use_store(store)

    class Writes(Heard):
        def record_order(self, *order):
            tools.record_deal(threading.Lock(), paths.deals, *order)

    class Callback(QmtRecorder, Writes):
        pass

    class Other(GmRecorder, Writes):
        pass

    try:
        for callback in (Callback(), Other()):
            callback.record_into(ACCOUNT, store=store)
            callback.record_order(MOMENT, CODE, "", "限买委托", "", 10.5, 100)
        assert rows(store) == []
        Writes().record_order(MOMENT, CODE, "", "限买委托", "", 10.5, 100)
        assert rows(store) == [("buy_order", "", "", 100)]
        assert len(Path(paths.deals).read_text().splitlines()) == 4
        Qmt().record_order("nobody follows")
    finally:
        hook.uninstall()
        scripts.forget_tools()
        registry.forget_all()


def test_a_fill_that_cannot_be_recorded_reaches_the_strategy_and_is_an_error(qmt, gm, store):
    odd = trade(traded_price=-1)
    with pytest.raises(InvalidInput, match="price"):
        qmt.on_stock_trade(odd)
    assert qmt.heard == [odd]
    nothing = gm_report("e-9", 0)
    with pytest.raises(InvalidInput, match="volume"):
        gm.on_execution_report(nothing)
    assert gm.heard == [nothing]
    assert rows(store) == []


def test_the_broker_settles_a_sell_of_what_nobody_recorded(qmt, store):
    store.update_held_days(CODE, 5, f"{ACCOUNT}/swing")
    qmt.record_into(ACCOUNT, namespace="swing", store=store, remaining={CODE: 400}.get)
    qmt.on_stock_trade(trade(side=SELL))
    assert (position(store).held_days, position(store).volume) == (5, 400)
    assert not position(store).flag
    qmt.record_into(ACCOUNT, namespace="swing", store=store, remaining={CODE: 0}.get)
    qmt.on_stock_trade(trade("A2", side=SELL, volume=400))
    assert position(store) is None


def gm_order(status, filled=0, side=1):
    return SimpleNamespace(
        cl_ord_id="c-1", symbol="SHSE.600000", side=side, status=status, order_type=1,
        price=10.520000457763672, volume=1000, filled_volume=filled,
        created_at=SimpleNamespace(seconds=MOMENT, nanos=130_021_792), ord_rej_reason_detail="",
    )  # fmt: skip


def gm_report(number, volume, side=1, exec_type=15):
    return SimpleNamespace(
        cl_ord_id="c-1", exec_id=number, symbol="SHSE.600000", side=side, exec_type=exec_type,
        price=10.5, volume=volume, created_at=SimpleNamespace(seconds=MOMENT + 3, nanos=5),
    )  # fmt: skip


def test_gm_reports_are_recorded_once_as_well(gm, store, caplog):
    for _ in range(2):
        gm.on_order_status(gm_order(1))
        gm.on_execution_report(gm_report("e-1", 600))
        gm.on_execution_report(gm_report("e-2", 100, exec_type=5))
        gm.on_order_status(gm_order(5, filled=600))
    assert rows(store) == [
        ("buy_order", "c-1", "", 1000),
        ("buy_trade", "c-1", "e-1", 600),
        ("cancel", "c-1", "", 400),
    ]
    assert position(store).volume == 600
    gm.on_order_status(gm_order(8, filled=600))
    assert "c-1 was rejected" in caplog.text
    gm.on_execution_report(gm_report("e-3", 600, side=2))
    assert position(store) is None
