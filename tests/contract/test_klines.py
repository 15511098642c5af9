from __future__ import annotations

import random
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import BAR_COLUMNS
from tests.contract.market_stores import KLINE_BACKENDS, KLINE_STORES, MODES
from tests.factories import make_bars
from trades_app import bar_frames

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

CODE = "600000.SH"
BANK = "000001.SZ"
DTYPES = ["int64", "float64", "float64", "float64", "float64", "int64", "float64"]


@pytest.fixture(params=KLINE_STORES)
def klines(request, data_dir, clickhouse):
    """Each store and each mode that has bars, empty."""
    store = KLINE_STORES[request.param]()
    yield store
    store.close()


@pytest.fixture(params=KLINE_BACKENDS)
def backend(request, data_dir, clickhouse):
    store = KLINE_BACKENDS[request.param]()
    yield store
    store.close()


def dates(frame):
    return frame["datetime"].tolist()


def bar(code=CODE, day=20260302, price=10.0, **fields):
    values = {"code": code, "datetime": day, "volume": 100, "amount": 1000.0}
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    return pd.DataFrame([values | prices | fields])


class TestRead:
    def test_bars_come_back_as_they_went_in(self, klines):
        bars = make_bars(CODE, days=5)
        assert klines.write_klines(bars) == 5
        frame = klines.get_kline(CODE)
        pd.testing.assert_frame_equal(frame, bars.drop(columns="code"))
        assert [str(kind) for kind in frame.dtypes] == DTYPES
        assert tuple(frame.columns) == BAR_COLUMNS == bar_frames.BAR_COLUMNS

    def test_bars_come_oldest_first_however_they_were_written(self, klines):
        bars = make_bars(CODE, days=300, start=date(2024, 11, 4))
        klines.write_klines(bars.sample(frac=1, random_state=1))
        assert dates(klines.get_kline(CODE)) == sorted(bars["datetime"])

    def test_a_code_without_bars_gives_an_empty_frame_with_columns(self, klines):
        for frame in (klines.get_kline(CODE), klines.get_kline(CODE, days=5)):
            assert tuple(frame.columns) == BAR_COLUMNS
            assert [str(kind) for kind in frame.dtypes] == DTYPES
            assert frame.empty

    def test_both_dates_belong_to_the_range(self, klines):
        klines.write_klines(make_bars(CODE, days=5, start=date(2026, 3, 2)))
        frame = klines.get_kline(CODE, date(2026, 3, 3), date(2026, 3, 5))
        assert dates(frame) == [20260303, 20260304, 20260305]
        assert list(frame.index) == [0, 1, 2]

    def test_days_means_rows_and_beats_the_start(self, klines):
        klines.write_klines(make_bars(CODE, days=20, start=date(2026, 3, 2)))
        everything = dates(klines.get_kline(CODE))
        assert dates(klines.get_kline(CODE, date(2026, 3, 26), days=10)) == everything[-10:]
        until = klines.get_kline(CODE, end_date=date(2026, 3, 13), days=3)
        assert dates(until) == [20260311, 20260312, 20260313]
        assert dates(klines.get_kline(CODE, days=1000)) == everything

    def test_days_reach_over_a_suspension_of_years(self, klines):
        klines.write_klines(make_bars(CODE, days=5, start=date(2015, 3, 2)))
        klines.write_klines(make_bars(CODE, days=2, start=date(2026, 3, 2)))
        klines.write_klines(make_bars(BANK, days=40, start=date(2026, 1, 5)))
        assert dates(klines.get_kline(CODE, days=4)) == [20150305, 20150306, 20260302, 20260303]
        frames = klines.batch_get_kline([CODE, BANK], days=4)
        assert [len(frame) for frame in frames.values()] == [4, 4]

    def test_days_before_all_bars_are_none(self, klines):
        klines.write_klines(make_bars(CODE, days=5))
        assert klines.get_kline(CODE, end_date=date(2020, 1, 1), days=5).empty

    def test_a_batch_has_a_frame_for_every_code(self, klines):
        klines.write_klines(pd.concat([make_bars(CODE, days=3), make_bars(BANK, days=2)]))
        frames = klines.batch_get_kline([BANK, "300059.SZ", CODE])
        assert list(frames) == [BANK, "300059.SZ", CODE]
        assert [len(frame) for frame in frames.values()] == [2, 0, 3]
        for code, frame in frames.items():
            pd.testing.assert_frame_equal(frame, klines.get_kline(code))

    def test_the_market_comes_as_one_frame(self, klines):
        bars = pd.concat([make_bars(code, days=3) for code in (CODE, BANK, "300059.SZ")])
        klines.write_klines(bars.sample(frac=1, random_state=2))
        frame = klines.read_kline_frame()
        assert tuple(frame.columns) == ("code", *BAR_COLUMNS)
        assert frame["code"].tolist() == [BANK] * 3 + ["300059.SZ"] * 3 + [CODE] * 3
        assert [str(kind) for kind in frame.dtypes] == ["category", *DTYPES]
        some = klines.read_kline_frame([CODE, BANK], date(2026, 3, 3), date(2026, 3, 3))
        assert list(zip(some["code"], some["datetime"], strict=True)) == [
            (BANK, 20260303),
            (CODE, 20260303),
        ]

    def test_an_empty_market_has_the_columns(self, klines):
        frame = klines.read_kline_frame()
        assert tuple(frame.columns) == ("code", *BAR_COLUMNS)
        assert [str(kind) for kind in frame.dtypes] == ["category", *DTYPES]

    def test_closing_is_idempotent_and_a_later_call_works_again(self, klines):
        klines.write_klines(make_bars(CODE, days=3))
        klines.close()
        klines.close()
        assert len(klines.get_kline(CODE, days=2)) == 2
        klines.write_klines(make_bars(BANK, days=1))
        assert len(klines.read_kline_frame()) == 4

    def test_a_frame_belongs_to_its_caller(self, klines):
        klines.write_klines(make_bars(CODE, days=3))
        for days in (None, 3):
            frame = klines.get_kline(CODE, days=days)
            frame.loc[0, "close"] = -1.0
            frame["volume"] = 0
            again = klines.get_kline(CODE, days=days)
            assert again.loc[0, "close"] > 0
            assert (again["volume"] > 0).all()


class TestWrite:
    def test_a_bar_written_again_is_replaced(self, klines):
        klines.write_klines(make_bars(CODE, days=3, first_close=10.0))
        klines.get_kline(CODE, days=3)
        klines.write_klines(make_bars(CODE, days=2, first_close=20.0))
        frame = klines.get_kline(CODE, days=3)
        assert frame["close"].tolist() == [20.0, 20.1, 10.2]
        assert len(klines.read_kline_frame()) == 3

    def test_the_last_of_two_bars_of_one_day_counts(self, klines):
        klines.write_klines(pd.concat([bar(price=10.0), bar(price=11.0)]))
        assert klines.get_kline(CODE)["close"].tolist() == [11.0]

    def test_codes_and_dates_may_be_spelt_in_any_way(self, klines):
        spelt = pd.concat(
            [
                bar("sh600000", "2026-03-02"),
                bar("SHSE.600000", "20260303"),
                bar("600000", 20260304),
                bar("600000.SH", date(2026, 3, 5)),
            ]
        )
        klines.write_klines(spelt)
        assert dates(klines.get_kline(CODE)) == [20260302, 20260303, 20260304, 20260305]

    def test_a_suspended_day_and_prices_below_zero_are_legal(self, klines):
        quiet = bar(price=-0.512, volume=0, amount=0.0)
        klines.write_klines(quiet, adjust="qfq")
        frame = klines.get_kline(CODE, adjust="qfq")
        assert frame.iloc[0].tolist() == [20260302, -0.512, -0.512, -0.512, -0.512, 0, 0]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"close": float("nan")}, "row 2 .*close nan is not a finite number"),
            ({"high": 9.0, "low": 9.5}, "row 2 .*high 9.0 is below low"),
            ({"volume": -1}, "row 2 .*volume -1"),
            ({"volume": 10.5}, "row 2 .*volume 10.5"),
            ({"open": 1e6, "high": 1e6}, "row 2 .*open 1000000.0 is beyond"),
            ({"code": "600.XX"}, "row 2 .*code '600.XX'"),
            ({"datetime": 20260231}, "row 2 .*20260231 is not a date"),
        ],
    )
    def test_a_bad_row_is_named_and_nothing_is_written(self, klines, fields, message):
        bars = pd.concat([bar(day=20260302), bar(day=20260303).assign(**fields)])
        with pytest.raises(InvalidInput, match=message):
            klines.write_klines(bars)
        assert klines.get_kline(CODE).empty

    def test_a_missing_column_is_named(self, klines):
        with pytest.raises(InvalidInput, match="amount"):
            klines.write_klines(bar().drop(columns="amount"))

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.integers(-999_999, 999_999_999), min_size=1, max_size=40))
    def test_every_price_with_three_decimals_survives_exactly(self, backend, ticks):
        prices = [float(Decimal(tick) / 1000) for tick in [2010, 590, *ticks]]
        rows = [bar(day=20200101 + number, price=price) for number, price in enumerate(prices)]
        days = pd.date_range("2020-01-01", periods=len(rows)).strftime("%Y%m%d").astype(int)
        backend.write_klines(pd.concat(rows).assign(datetime=days), adjust="hfq")
        frame = backend.get_kline(CODE, date(2020, 1, 1), adjust="hfq")
        assert frame["close"].tolist()[: len(prices)] == prices

    def test_finer_prices_are_rounded_half_up_as_people_read_them(self, backend):
        prices = [2.0005, 1.0005, 10.0015, 2.00049999, -2.0005, 123456.7895]
        amounts = [0.005, 1.015, 1e9 + 0.005, 2.0, 3.0, 4.0]
        days = [20260302 + number for number in range(len(prices))]
        bars = pd.concat([bar(day=day) for day in days])
        names = ["open", "high", "low", "close"]
        bars[names] = np.array([prices] * 4).T
        backend.write_klines(bars.assign(amount=amounts))
        frame = backend.get_kline(CODE)
        expected = [
            float(Decimal(repr(p)).quantize(Decimal("0.001"), ROUND_HALF_UP)) for p in prices
        ]
        assert frame["close"].tolist() == expected
        assert frame["amount"].tolist() == [0.01, 1.02, 1000000000.01, 2.0, 3.0, 4.0]

    def test_decades_of_bars_fit_one_write(self, backend):
        days = pd.bdate_range("1991-01-01", "2026-03-02").strftime("%Y%m%d").astype(int)
        bars = pd.DataFrame({"code": CODE, "datetime": days, "volume": 100, "amount": 1000.0})
        bars = bars.assign(open=10.0, high=10.0, low=10.0, close=10.0)
        assert backend.write_klines(bars) == len(days)
        assert len(backend.get_kline(CODE)) == len(days)


class TestAdjust:
    FACTORS = pd.DataFrame(
        {"code": [CODE, CODE], "ex_date": ["2026-03-03", "2026-03-05"], "factor": [1.25, 2.5]}
    )

    def test_adjusted_bars_are_derived_from_factors(self, backend, trading_morning):
        backend.write_klines(pd.concat([bar(day=20260302 + n, price=10.0) for n in range(5)]))
        backend.write_adjust_factors(self.FACTORS)
        forward = backend.get_kline(CODE, adjust="hfq")
        assert forward["close"].tolist() == [10.0, 12.5, 12.5, 25.0, 25.0]
        # The clock stands at 2026-03-02, whose prices stay.
        assert backend.get_kline(CODE, adjust="qfq")["close"].tolist() == forward["close"].tolist()
        assert backend.get_kline(CODE)["close"].tolist() == [10.0] * 5
        pd.testing.assert_frame_equal(
            backend.read_kline_frame(adjust="hfq").drop(columns="code"), forward
        )

    def test_prices_of_today_stay_in_a_backward_series(self, backend):
        backend.write_klines(pd.concat([bar(day=20260302 + n, price=10.0) for n in range(4)]))
        backend.write_adjust_factors(self.FACTORS)
        assert backend.get_kline(CODE, adjust="qfq")["close"].tolist() == [4.0, 5.0, 5.0, 10.0]

    def test_a_new_factor_is_seen_at_once(self, backend):
        backend.write_klines(bar(day=20260306, price=10.0))
        backend.write_adjust_factors(self.FACTORS)
        assert backend.get_kline(CODE, adjust="hfq")["close"].tolist() == [25.0]
        backend.write_adjust_factors(self.FACTORS.assign(factor=[1.25, 2.0]))
        assert backend.get_kline(CODE, adjust="hfq")["close"].tolist() == [20.0]

    def test_an_imported_series_wins_over_a_derived_one(self, backend):
        backend.write_klines(bar(day=20260306, price=10.0))
        backend.write_adjust_factors(self.FACTORS)
        backend.write_klines(bar(day=20260306, price=7.0), adjust="hfq")
        assert backend.get_kline(CODE, adjust="hfq")["close"].tolist() == [7.0]
        assert backend.read_kline_frame(adjust="hfq")["close"].tolist() == [7.0]
        assert backend.get_kline(CODE)["close"].tolist() == [10.0]

    def test_raw_bars_never_pass_for_adjusted_ones(self, backend):
        backend.write_klines(pd.concat([bar(CODE), bar(BANK)]))
        assert backend.get_kline(CODE, adjust="qfq").empty
        assert backend.read_kline_frame(adjust="qfq").empty

    def test_a_factor_of_zero_is_refused(self, backend):
        with pytest.raises(InvalidInput, match="factor"):
            backend.write_adjust_factors(self.FACTORS.assign(factor=0))


class TestModes:
    @pytest.fixture(params=MODES)
    def mode(self, request, data_dir, clickhouse):
        store = MODES[request.param]()
        yield store
        store.close()

    def test_every_spelling_of_code_and_date_is_understood(self, mode):
        mode.write_klines(make_bars(CODE, days=3))
        assert len(mode.get_kline("sh600000", "20260302", "2026-03-03")) == 2
        assert len(mode.get_kline("SHSE.600000", days=2.0)) == 2

    def test_a_batch_takes_a_hundred_codes_and_no_more(self, mode):
        codes = [f"{600000 + number}.SH" for number in range(101)]
        assert len(mode.batch_get_kline(codes[:100], days=5)) == 100
        with pytest.raises(ValueError, match="101 codes"):
            mode.batch_get_kline(codes, days=5)

    @pytest.mark.parametrize(
        "arguments",
        [{"code": "000001"}, {"code": CODE, "days": 0}, {"code": CODE, "adjust": "both"}],
    )
    def test_what_no_store_accepts_is_refused(self, mode, arguments):
        with pytest.raises(InvalidInput):
            mode.get_kline(**arguments)


def test_both_backends_answer_alike(data_dir, clickhouse):
    """Random bars with gaps, told by files and by ClickHouse."""
    chance = random.Random(20260302)
    parts = []
    for code in (CODE, BANK, "300059.SZ"):
        bars = make_bars(code, days=700, start=date(2023, 6, 1), first_close=5.0)
        parts.append(bars.sample(frac=chance.uniform(0.3, 0.9), random_state=chance.randrange(99)))
    stores = [make() for make in KLINE_BACKENDS.values()]
    for store in stores:
        store.write_klines(pd.concat(parts))
    for _ in range(40):
        start, end = sorted(
            date(2023, 1, 1).replace(year=y, month=m)
            for y, m in ((chance.randrange(2023, 2027), chance.randrange(1, 13)) for _ in range(2))
        )
        asked = {"start_date": start, "end_date": chance.choice([None, end])}
        asked["days"] = chance.choice([None, 1, 30, 60, 600])
        frames = [store.batch_get_kline([CODE, BANK, "600001.SH"], **asked) for store in stores]
        for code in frames[0]:
            pd.testing.assert_frame_equal(frames[0][code], frames[1][code])
    pd.testing.assert_frame_equal(*(store.read_kline_frame() for store in stores))
    for store in stores:
        store.close()
