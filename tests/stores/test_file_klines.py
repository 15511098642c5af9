from __future__ import annotations

import shutil
import time

import pandas as pd
import pytest

from storage_app.contract.errors import Corrupt
from storage_app.stores.file.klines import FileKlines
from tests.factories import make_bars

CODE = "600000.SH"
LEGACY_HEADER = "datetime,open,high,low,close,volume,amount"


@pytest.fixture
def store(tmp_path):
    return FileKlines(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "klines" / "none" / f"{CODE}.csv"


def test_the_file_is_the_one_that_strategies_read(store, path):
    bars = make_bars(CODE, days=3)
    store.write_klines(bars)
    assert path.read_text().splitlines()[0] == LEGACY_HEADER
    pd.testing.assert_frame_equal(pd.read_csv(path), bars.drop(columns="code"))


@pytest.mark.parametrize("days", [None, 2])
def test_columns_may_stand_in_another_order_and_more_may_follow(store, path, days):
    bars = make_bars(CODE, days=4).drop(columns="code")
    path.parent.mkdir(parents=True)
    columns = ["datetime", "close", "open", "low", "high", "amount", "volume"]
    bars[columns].assign(turnover=1.5).to_csv(path, index=False)
    expected = bars if days is None else bars.tail(days).reset_index(drop=True)
    pd.testing.assert_frame_equal(store.get_kline(CODE, days=days), expected)


def test_a_mark_and_line_ends_of_windows_are_read(store, path):
    store.write_klines(make_bars(CODE, days=2))
    text = path.read_text()
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert len(store.get_kline(CODE)) == 2


def test_rows_out_of_order_and_repeated_days_are_put_right(store, path):
    bars = make_bars(CODE, days=4).drop(columns="code")
    path.parent.mkdir(parents=True)
    repeated = bars.iloc[[2]].assign(close=99.0, high=99.0)
    pd.concat([bars.iloc[::-1], repeated]).to_csv(path, index=False)
    frame = store.get_kline(CODE)
    assert frame["datetime"].tolist() == bars["datetime"].tolist()
    assert frame["close"].iloc[2] == 99.0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"date,open\n",
        b"datetime,open,high,low,close,volume,amount\n20260302,1,1,1,ten,1,1\n",
        b"datetime,open,high,low,close,volume,amount\n20260302,1,1,1\n",
        b"datetime,open,high,low,close,volume,amount\n20260302,1,1,1,nan,1,1\n",
        b"\xff\xfe\x00",
    ],
)
@pytest.mark.parametrize("days", [None, 5])
def test_a_damaged_file_is_refused_with_its_path(store, path, content, days):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Corrupt) as caught:
        store.get_kline(CODE, days=days)
    assert caught.value.path == path


def test_a_file_with_only_a_header_has_no_bars(store, path):
    path.parent.mkdir(parents=True)
    path.write_text(LEGACY_HEADER + "\n")
    assert store.get_kline(CODE).empty
    store.write_klines(make_bars(CODE, days=2))
    assert len(store.get_kline(CODE)) == 2


def test_a_file_replaced_by_anyone_is_read_anew(store, path, tmp_path):
    store.write_klines(make_bars(CODE, days=3, first_close=10.0))
    time.sleep(0.06)
    assert store.get_kline(CODE, days=1)["close"].tolist() == [10.2]
    other = FileKlines(tmp_path / "other")
    other.write_klines(make_bars(CODE, days=3, first_close=20.0))
    shutil.move(tmp_path / "other" / "klines" / "none" / path.name, path)
    assert store.get_kline(CODE, days=1)["close"].tolist() == [20.2]


def test_quick_changes_are_never_missed(tmp_path):
    reader, writer = FileKlines(tmp_path), FileKlines(tmp_path)
    for number in range(40):
        writer.write_klines(make_bars(CODE, days=2, first_close=10.0 + number))
        assert reader.get_kline(CODE)["close"].iloc[0] == 10.0 + number


def write_own_days(directory, serial):
    store = FileKlines(directory)
    bars = make_bars(CODE, days=16, first_close=10.0)
    store.write_klines(bars.iloc[[serial]])


@pytest.mark.django_db(databases=["default", "clickhouse"])
def test_writers_of_one_file_lose_nothing(store, tmp_path, children):
    outcomes = children.race(write_own_days, tmp_path)
    assert {outcome.error for outcome in outcomes} == {""}
    expected = make_bars(CODE, days=16, first_close=10.0).drop(columns="code")
    pd.testing.assert_frame_equal(store.get_kline(CODE), expected)
