from __future__ import annotations

import csv
import random
import tracemalloc
from collections import deque
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.contract.identity import trade_uid
from storage_app.contract.types import OrderType, WriteCount
from tests.contract.market_stores import LEDGER_BACKENDS, LEDGER_KEEPERS, LEDGERS, MODES
from tests.factories import make_trade, unique
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

ACCOUNT = "55009728"
OTHER = "66001234"
CODE = "600000.SH"
BANK = "000001.SZ"
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
KEYS = {
    "trade_uid", "account_id", "timestamp", "trade_date", "code", "name", "order_type", "price",
    "volume", "strategy_name", "remark", "price_type", "order_id", "trade_id", "source", "amount",
}  # fmt: skip


@pytest.fixture(params=LEDGERS)
def ledger(request, data_dir, clickhouse):
    """Each store and each mode that has trades, empty."""
    store = LEDGERS[request.param]()
    yield store
    store.close()


@pytest.fixture(params=LEDGER_KEEPERS)
def backend(request, data_dir, clickhouse, redis):
    """Each store that keeps trades, empty."""
    store = LEDGER_KEEPERS[request.param]()
    yield store
    store.close()


def record(ledger, **fields):
    values = {
        "account_id": ACCOUNT,
        "timestamp": MORNING,
        "code": CODE,
        "name": "浦发银行",
        "order_type": "buy_trade",
        "remark": "买入成交",
        "price": "10.500",
        "volume": 1000,
    }
    return ledger.record_trade(**values | fields)


def fills(ledger, *rows, account_id=ACCOUNT):
    """Write (day, side, code, price, volume) fills, a second apart."""
    trades = [
        make_trade(
            account_id=account_id,
            timestamp=datetime(day.year, day.month, day.day, 9, 31, tzinfo=clock.SHANGHAI)
            + timedelta(seconds=number),
            order_type=f"{side}_trade",
            code=code,
            price=price,
            volume=volume,
        )
        for number, (day, side, code, price, volume) in enumerate(rows)
    ]
    ledger.write_trades(trades)
    return trades


class TestRecord:
    def test_a_row_comes_back_as_it_went_in(self, ledger):
        uid = record(
            ledger,
            name='*ST 中珠, "A"',
            remark="卖出, it's \\ a\nnew line",
            strategy_name="问财'选股",
            order_id="O-1",
            trade_id="T-1",
            price_type="limit",
        )
        (row,) = ledger.query_trades(ACCOUNT)
        assert row == {
            "trade_uid": uid,
            "account_id": ACCOUNT,
            "timestamp": MORNING,
            "trade_date": date(2026, 3, 2),
            "code": CODE,
            "name": '*ST 中珠, "A"',
            "order_type": "buy_trade",
            "price": 10.5,
            "volume": 1000,
            "strategy_name": "问财'选股",
            "remark": "卖出, it's \\ a\nnew line",
            "price_type": "limit",
            "order_id": "O-1",
            "trade_id": "T-1",
            "source": "trader",
            "amount": 10500.0,
        }
        assert set(row) == KEYS
        assert row["timestamp"].tzinfo is clock.SHANGHAI
        assert uid == trade_uid(ACCOUNT, date(2026, 3, 2), CODE, "buy_trade", "T-1")

    @pytest.mark.parametrize("order_type", OrderType)
    def test_all_five_kinds_are_kept_apart(self, ledger, order_type):
        record(ledger, order_type=order_type, price_type="market")
        (row,) = ledger.query_trades(ACCOUNT)
        assert (row["order_type"], row["price_type"]) == (order_type.value, "market")

    @pytest.mark.parametrize(
        "timestamp",
        [1772415060, 1772415060.0, "1772415060", datetime(2026, 3, 2, 1, 31, tzinfo=UTC)],
    )
    def test_every_spelling_of_a_moment_is_that_moment(self, ledger, timestamp):
        record(ledger, timestamp=timestamp)
        (row,) = ledger.query_trades(ACCOUNT)
        assert row["timestamp"] == MORNING
        assert row["trade_date"] == date(2026, 3, 2)

    def test_a_trade_after_midnight_utc_belongs_to_the_shanghai_day(self, ledger):
        record(ledger, timestamp=datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
        (row,) = ledger.query_trades(ACCOUNT)
        assert row["trade_date"] == date(2026, 3, 2)

    def test_times_are_kept_to_the_millisecond(self, ledger):
        moment = MORNING.replace(microsecond=123_999)
        record(ledger, timestamp=moment, trade_id="T-1")
        assert record(ledger, timestamp=moment, trade_id="T-1")
        (row,) = ledger.query_trades(ACCOUNT)
        assert row["timestamp"] == MORNING.replace(microsecond=123_000)

    def test_a_fill_recorded_twice_counts_once(self, ledger):
        first = record(ledger, trade_id="T-1")
        assert record(ledger, trade_id="T-1", price=10.5) == first
        assert len(ledger.query_trades(ACCOUNT)) == 1

    def test_a_fill_that_differs_from_its_first_record_is_a_conflict(self, ledger):
        uid = record(ledger, trade_id="T-1")
        with pytest.raises(Conflict, match=rf"{uid}.*price 10\.5\d*, not 10\.6"):
            record(ledger, trade_id="T-1", price="10.6")
        assert [row["price"] for row in ledger.query_trades(ACCOUNT)] == [10.5]

    def test_without_an_id_every_call_is_a_new_row(self, ledger):
        assert record(ledger) != record(ledger)
        assert len(ledger.query_trades(ACCOUNT)) == 2

    def test_an_order_and_its_fill_are_two_rows(self, ledger):
        record(ledger, order_type="buy_order", order_id="7")
        record(ledger, order_type="buy_trade", order_id="7", trade_id="7")
        record(ledger, order_type="cancel", order_id="7", price=0)
        assert len(ledger.query_trades(ACCOUNT)) == 3

    def test_the_same_broker_number_on_another_day_is_another_fill(self, ledger):
        record(ledger, trade_id="T-1")
        record(ledger, trade_id="T-1", timestamp=MORNING + timedelta(days=1))
        assert len(ledger.query_trades(ACCOUNT)) == 2


class TestWrite:
    def test_new_and_same_rows_are_counted(self, backend):
        trades = [make_trade() for _ in range(3)]
        assert backend.write_trades(trades[:2]) == WriteCount(new=2)
        assert backend.write_trades(trades) == WriteCount(new=1, same=2)
        assert backend.write_trades([]) == WriteCount()

    def test_a_copy_within_the_batch_is_the_same_row(self, backend):
        trade = make_trade()
        assert backend.write_trades([trade, trade]) == WriteCount(new=1, same=1)

    def test_one_conflict_leaves_the_whole_batch_out(self, backend):
        known = make_trade(trade_id="T-1", volume=100)
        backend.write_trades([known])
        batch = [
            make_trade(timestamp=datetime(2024, 1, 2, 10, tzinfo=clock.SHANGHAI)),
            make_trade(trade_id="T-1", volume=200),
            make_trade(account_id=OTHER),
        ]
        with pytest.raises(Conflict, match=rf"{known.trade_uid}.*volume 100.*200"):
            backend.write_trades(batch)
        assert backend.query_trades(OTHER) == []
        assert [row["volume"] for row in backend.query_trades(ACCOUNT)] == [100]

    def test_a_conflict_within_the_batch_is_found(self, backend):
        batch = [make_trade(trade_id="T-1", remark="a"), make_trade(trade_id="T-1", remark="b")]
        with pytest.raises(Conflict, match="remark a, not b"):
            backend.write_trades(batch)
        assert backend.query_trades(ACCOUNT) == []

    def test_a_row_that_came_another_way_is_still_the_same(self, backend):
        backend.write_trades([make_trade(trade_id="T-1")])
        again = make_trade(trade_id="T-1", source="deal_hist.csv")
        assert backend.write_trades([again]) == WriteCount(same=1)

    def test_a_batch_may_span_accounts_and_many_years(self, backend):
        trades = [
            make_trade(
                account_id=account,
                timestamp=datetime(year, month, 2, 10, tzinfo=clock.SHANGHAI),
            )
            for account in (ACCOUNT, OTHER)
            for year in range(2014, 2026)
            for month in range(1, 13)
        ]
        assert backend.write_trades(trades) == WriteCount(new=288)
        assert backend.write_trades(trades) == WriteCount(same=288)
        assert len(backend.query_trades(OTHER)) == 144

    def test_a_price_finer_than_the_market_is_refused(self, backend):
        with pytest.raises(InvalidInput, match=r"10\.0001"):
            backend.write_trades([replace(make_trade(), price=Decimal("10.0001"))])

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.integers(1, 999_999_999), min_size=1, max_size=30))
    def test_every_price_with_three_decimals_survives_exactly(self, backend, ticks):
        account = unique("exact")
        prices = [Decimal(tick) / 1000 for tick in [2010, 590, *ticks]]
        backend.write_trades([make_trade(account_id=account, price=price) for price in prices])
        rows = backend.query_trades(account, limit=100)
        assert sorted(row["price"] for row in rows) == sorted(float(price) for price in prices)
        assert {row["amount"] for row in rows} == {float(price * 1000) for price in prices}


class TestQuery:
    def test_rows_come_newest_first(self, ledger):
        for minute in (3, 1, 2):
            record(ledger, timestamp=MORNING + timedelta(minutes=minute), volume=minute)
        record(ledger, timestamp=MORNING - timedelta(days=400), volume=9)
        assert [row["volume"] for row in ledger.query_trades(ACCOUNT)] == [3, 2, 1, 9]

    def test_both_dates_belong_to_the_range(self, ledger):
        for day in range(5):
            record(ledger, timestamp=MORNING + timedelta(days=day), volume=day + 1)
        rows = ledger.query_trades(ACCOUNT, date(2026, 3, 3), date(2026, 3, 5))
        assert [row["volume"] for row in rows] == [4, 3, 2]

    def test_filters_work_alone_and_together(self, ledger):
        record(ledger, code=BANK, strategy_name="A")
        record(ledger, code=BANK, strategy_name="B'; DROP TABLE trade --")
        record(ledger, code=CODE, strategy_name="A")
        assert len(ledger.query_trades(ACCOUNT, code=BANK)) == 2
        assert len(ledger.query_trades(ACCOUNT, strategy_name="A")) == 2
        assert len(ledger.query_trades(ACCOUNT, code=BANK, strategy_name="A")) == 1
        quoted = ledger.query_trades(ACCOUNT, strategy_name="B'; DROP TABLE trade --")
        assert [row["code"] for row in quoted] == [BANK]
        assert ledger.query_trades(ACCOUNT, code="300059.SZ") == []

    def test_limit_keeps_the_newest(self, ledger):
        for day in (0, 1, 370):
            record(ledger, timestamp=MORNING - timedelta(days=day), volume=day + 1)
        assert [row["volume"] for row in ledger.query_trades(ACCOUNT, limit=2)] == [1, 2]

    def test_accounts_never_see_each_other(self, ledger):
        record(ledger, trade_id="T-1")
        record(ledger, trade_id="T-1", account_id=OTHER, volume=7)
        assert [row["volume"] for row in ledger.query_trades(OTHER)] == [7]
        assert ledger.query_trades("77001234") == []

    def test_rows_of_one_moment_have_one_order(self, backend):
        backend.write_trades([make_trade() for _ in range(20)])
        uids = [row["trade_uid"] for row in backend.query_trades(ACCOUNT)]
        assert uids == sorted(uids, reverse=True)
        assert [row["trade_uid"] for row in backend.iter_trades(ACCOUNT)] == sorted(uids)

    def test_iteration_gives_everything_oldest_first(self, ledger):
        trades = [
            make_trade(timestamp=MORNING - timedelta(days=n % 700, seconds=n)) for n in range(1500)
        ]
        ledger.write_trades(trades)
        rows = list(ledger.iter_trades(ACCOUNT))
        assert len(rows) == 1500
        assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
        assert rows == list(reversed(ledger.query_trades(ACCOUNT, limit=1500)))
        some = list(ledger.iter_trades(ACCOUNT, date(2026, 1, 1), code=CODE))
        assert {row["trade_date"].year for row in some} == {2026}

    def test_an_iteration_given_up_half_way_disturbs_nothing(self, ledger):
        ledger.write_trades([make_trade() for _ in range(50)])
        rows = ledger.iter_trades(ACCOUNT)
        next(rows)
        rows.close()
        assert len(ledger.query_trades(ACCOUNT)) == 50


class TestAggregate:
    """Hand-computed: costs by FIFO, fees by the rates that hold in 2026."""

    def test_profit_is_first_in_first_out_over_fills_only(self, ledger):
        fills(
            ledger,
            (date(2026, 3, 2), "buy", CODE, "10.00", 1000),
            (date(2026, 3, 2), "buy", CODE, "11.00", 1000),
            (date(2026, 3, 3), "sell", CODE, "12.00", 1500),
            (date(2026, 4, 1), "sell", CODE, "10.50", 500),
        )
        record(ledger, order_type="sell_order", price="99", volume=9900)
        record(ledger, order_type="cancel", price=0, volume=9900)
        march, april = ledger.aggregate_trades(ACCOUNT, date(2026, 1, 1), date(2026, 12, 31))
        # Sold 1,500 at 12: 1,000 cost 10 and 500 cost 11. Then 500 of 11 at 10.50.
        assert march == {
            "period": "2026-03",
            "trade_count": 3,
            "buy_amount": 21000.0,
            "sell_amount": 18000.0,
            "total_amount": 39000.0,
            # 5 + 0.10, 5 + 0.11, and 5 + 9 (stamp tax) + 0.18
            "fee": 24.39,
            "profit": 2500.0,
            "win_rate": 1.0,
            "unmatched_volume": 0,
            "is_estimate": False,
        }
        # 5 + 2.625 rounded up + 0.0525
        assert (april["profit"], april["fee"], april["win_rate"]) == (-250.0, 7.68, 0.0)

    def test_figures_that_rest_on_an_assumed_fill_are_estimates(self, ledger):
        """A month is one if a fill of it was assumed, or one that its sells may have closed."""
        days = {month: date(2026, month, 2) for month in (1, 2, 3, 4, 5)}
        fills(ledger, (days[1], "buy", CODE, "10", 100), (days[1], "buy", BANK, "10", 500))
        fills(ledger, (days[2], "sell", CODE, "11", 50))
        at = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
        assumed = make_trade(
            account_id=ACCOUNT, timestamp=at, code=BANK, order_type="buy_trade", source="assumed"
        )
        ledger.write_trades([assumed])
        fills(ledger, (days[4], "sell", CODE, "11", 50))
        fills(ledger, (days[5], "sell", BANK, "11", 100))
        rows = ledger.aggregate_trades(ACCOUNT, date(2026, 1, 1), date(2026, 12, 31))
        assert [row["is_estimate"] for row in rows] == [False, False, True, False, True]

    def test_an_opening_before_the_range_is_still_the_cost(self, ledger):
        fills(
            ledger,
            (date(2025, 12, 31), "buy", CODE, "10.00", 100),
            (date(2026, 1, 5), "sell", CODE, "11.00", 100),
        )
        (row,) = ledger.aggregate_trades(ACCOUNT, date(2026, 1, 1), date(2026, 1, 31), "day")
        assert (row["period"], row["trade_count"], row["profit"]) == ("2026-01-05", 1, 100.0)

    def test_shares_sold_without_a_buy_are_reported_and_not_guessed(self, ledger):
        fills(
            ledger,
            (date(2026, 3, 2), "buy", CODE, "10.00", 100),
            (date(2026, 3, 3), "sell", CODE, "12.00", 300),
            (date(2026, 3, 4), "buy", CODE, "9.00", 100),
            (date(2026, 3, 5), "sell", CODE, "9.50", 100),
        )
        (row,) = ledger.aggregate_trades(ACCOUNT, date(2026, 1, 1), date(2026, 12, 31), "year")
        assert row["period"] == "2026"
        assert (row["profit"], row["unmatched_volume"]) == (250.0, 200)

    def test_codes_and_accounts_have_queues_of_their_own(self, ledger):
        fills(
            ledger,
            (date(2026, 3, 2), "buy", CODE, "10.00", 100),
            (date(2026, 3, 3), "sell", BANK, "20.00", 100),
        )
        fills(ledger, (date(2026, 3, 4), "sell", CODE, "11.00", 100), account_id=OTHER)
        (own,) = ledger.aggregate_trades(ACCOUNT, date(2026, 3, 1), date(2026, 3, 31))
        (both,) = ledger.aggregate_trades(None, date(2026, 3, 1), date(2026, 3, 31))
        assert (own["profit"], own["unmatched_volume"], own["win_rate"]) == (0.0, 100, None)
        assert (both["trade_count"], both["unmatched_volume"]) == (3, 200)

    def test_the_minimum_commission_is_taken_once_per_order(self, ledger):
        for number in range(3):
            record(ledger, order_id="O-1", trade_id=f"T-{number}", price="10", volume=100)
        record(ledger, order_id="O-2", trade_id="T-9", price="10", volume=100)
        (row,) = ledger.aggregate_trades(ACCOUNT, date(2026, 3, 1), date(2026, 3, 31))
        # 5 + 0.03 for the order of 3,000 yuan, 5 + 0.01 for the one of 1,000.
        assert row["fee"] == 10.04

    def test_periods_come_oldest_first_and_empty_ones_are_left_out(self, ledger):
        fills(
            ledger,
            (date(2026, 3, 4), "buy", CODE, "10.00", 100),
            (date(2024, 3, 4), "buy", CODE, "10.00", 100),
            (date(2026, 3, 2), "buy", CODE, "10.00", 100),
        )
        days = ledger.aggregate_trades(ACCOUNT, date(2020, 1, 1), date(2026, 12, 31), "day")
        assert [row["period"] for row in days] == ["2024-03-04", "2026-03-02", "2026-03-04"]
        assert ledger.aggregate_trades(OTHER, date(2020, 1, 1), date(2026, 12, 31)) == []


class TestModes:
    @pytest.fixture(params=MODES)
    def mode(self, request, data_dir, clickhouse):
        store = MODES[request.param]()
        yield store
        store.close()

    def test_every_spelling_of_code_and_date_is_understood(self, mode):
        record(mode, code="sh600000")
        assert len(mode.query_trades(ACCOUNT, "2026-03-02", 20260302, code="SHSE.600000")) == 1
        assert mode.aggregate_trades(ACCOUNT, "20260301", "2026-03-31", group_by="month")

    @pytest.mark.parametrize(
        "arguments",
        [
            {"account_id": "55009728/test"},
            {"account_id": ACCOUNT, "code": "000001"},
            {"account_id": ACCOUNT, "start_date": "2026-13-01"},
            {"account_id": ACCOUNT, "limit": 0},
        ],
    )
    def test_what_no_store_accepts_is_refused(self, mode, arguments):
        with pytest.raises(InvalidInput):
            mode.query_trades(**arguments)

    def test_an_unknown_period_names_the_three(self, mode):
        with pytest.raises(InvalidInput, match="day, month, year"):
            mode.aggregate_trades(ACCOUNT, "2026-01-01", "2026-01-31", "week")


def test_both_backends_answer_alike(data_dir, clickhouse):
    """A year of random trades, told by files and by ClickHouse."""
    chance = random.Random(20260302)
    trades = [
        make_trade(
            timestamp=MORNING - timedelta(minutes=chance.randrange(500_000)),
            order_type=chance.choice(list(OrderType)),
            code=chance.choice([CODE, BANK, "510300.SH"]),
            price=Decimal(chance.randrange(1000, 30_000)) / 1000,
            volume=100 * chance.randrange(1, 50),
            order_id=str(chance.randrange(300)),
            trade_id=unique("T"),
        )
        for _ in range(800)
    ]
    trades = list({trade.trade_uid: trade for trade in trades}.values())
    answers = []
    for name in LEDGER_BACKENDS:
        store = LEDGER_BACKENDS[name]()
        store.write_trades(trades)
        answers.append(
            (
                store.query_trades(ACCOUNT, limit=1000),
                store.aggregate_trades(None, date(2025, 1, 1), date(2026, 12, 31), "day"),
                store.aggregate_trades(ACCOUNT, date(2025, 7, 1), date(2026, 12, 31)),
            )
        )
        store.close()
    assert answers[0] == answers[1]


# (account, day, kind, number, price) of each row of each batch.
batches = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B"]),
            st.integers(0, 1),
            st.sampled_from(list(OrderType)),
            st.integers(0, 2),
            st.sampled_from(["10", "10.001"]),
        ),
        max_size=6,
    ),
    max_size=8,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches)
def test_any_sequence_of_batches_leaves_what_a_dictionary_would(backend, batches):
    """The model: identity → price; a batch with any other price for an identity is refused."""
    prefix = unique("model")
    model = {}
    for batch in batches:
        trades = [
            make_trade(
                account_id=prefix + account,
                timestamp=MORNING + timedelta(days=day),
                order_type=kind,
                order_id=f"{number}",
                trade_id=f"{number}",
                price=price,
            )
            for account, day, kind, number, price in batch
        ]
        after = dict(model)
        agrees = all(
            after.setdefault((account, day, kind, number), price) == price
            for account, day, kind, number, price in batch
        )
        if agrees:
            new = len(after) - len(model)
            count = backend.write_trades(trades)
            assert count == WriteCount(new=new, same=len(batch) - new)
            model = after
        else:
            with pytest.raises(Conflict):
                backend.write_trades(trades)
    for account in ("A", "B"):
        rows = backend.query_trades(prefix + account)
        found = {
            ((row["timestamp"] - MORNING).days, row["order_type"], row["trade_id"]): row["price"]
            for row in rows
        }
        assert len(found) == len(rows)
        assert found == {
            (day, kind.value, f"{number}"): float(price)
            for (owner, day, kind, number), price in model.items()
            if owner == account
        }


def write_shared(name, data_dir, serial):
    """Write twenty trades that every writer writes and one of its own, each by itself."""
    shared = [make_trade(trade_id=f"shared-{n}") for n in range(20)]
    own = {"trade_id": f"own-{serial}", "order_type": "buy_trade", "volume": 100, "price": 10}
    with override_settings(DATA_DIR=data_dir):
        store = LEDGER_KEEPERS[name]()
    store.write_trades([*shared, make_trade(trade_id=f"batch-{serial}")])
    record(store, **own)
    record(store, **own)
    store.close()


@pytest.mark.parametrize("name", LEDGER_KEEPERS)
def test_many_processes_write_the_same_trades_and_each_counts_once(
    name, data_dir, clickhouse, redis, children
):
    outcomes = children.race(write_shared, name, data_dir)
    assert {outcome.error: outcome.message for outcome in outcomes} == {"": ""}
    store = LEDGER_KEEPERS[name]()
    rows = store.query_trades(ACCOUNT)
    assert len(rows) == 20 + 2 * len(outcomes)
    (summary,) = store.aggregate_trades(ACCOUNT, date(2026, 3, 1), date(2026, 3, 31))
    assert summary["trade_count"] == len(rows)
    store.close()


def test_closing_is_idempotent_and_a_later_call_works_again(ledger):
    record(ledger)
    ledger.close()
    ledger.close()
    record(ledger)
    assert len(ledger.query_trades(ACCOUNT)) == 2


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_iterating_over_more_years_takes_no_more_memory(backend):
    """Files hold the lines of one year, servers a block; a list of six years would take sixfold."""
    one, six = unique("one"), unique("six")
    for account, years in ((one, 1), (six, 6)):
        backend.write_trades(
            [
                make_trade(account_id=account, timestamp=MORNING.replace(year=2026 - n % years))
                for n in range(1500 * years)
            ]
        )
    list(backend.iter_trades(one))  # what is loaded and cached once is not counted
    peaks = [
        peak_of(lambda name=name: deque(backend.iter_trades(name), maxlen=0)) for name in (one, six)
    ]
    assert peaks[1] < 3 * peaks[0], peaks


def test_a_trade_file_reads_like_the_history_that_strategies_write(data_dir):
    store = LEDGER_BACKENDS["FileTrades"]()
    store.write_trades([make_trade(price="10.5")])
    path = data_dir / "trades" / ACCOUNT / "2026.csv"
    with path.open(encoding="utf-8-sig", newline="") as lines:
        (row,) = csv.DictReader(lines)
    legacy = [row[name] for name in ("日期", "时间", "代码", "名称", "类型", "成交价", "成交量")]
    assert legacy == [
        "2026-03-02", "09:31:00.000", CODE, "浦发银行", "买入成交", "10.500", "1000",
    ]  # fmt: skip
