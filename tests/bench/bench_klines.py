"""Daily bars: 5,000 codes × 1,250 days."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from storage_app.stores.clickhouse import ClickHouseKlines
from storage_app.stores.file.klines import FileKlines
from tests.bench import market_data
from tests.bench.harness import Case, measure
from trades_app import quality
from trades_app.connection import NativeClient, leased

NOTES = (
    "6.25 million bars made from a seed. The raw driver asks the tuned query (dates bounded so "
    "that partitions are pruned, `FINAL` with `do_not_merge_across_partitions_select_final`, "
    "decimals cast to float by the server) and makes the same frame. Legacy is the CSV file of "
    "one code read with pandas, as strategies do."
)
RAW = (
    "SELECT {code}toYYYYMMDD(trade_date), toFloat64(open), toFloat64(high), toFloat64(low), "
    "toFloat64(close), volume, toFloat64(amount) FROM daily_kline FINAL WHERE adjust = 'none' "
    "AND {where} ORDER BY {order}trade_date "
    "SETTINGS do_not_merge_across_partitions_select_final = 1"
)
NAMES = ["datetime", "open", "high", "low", "close", "volume", "amount"]
INSERT = (
    "INSERT INTO daily_kline (adjust, code, trade_date, open_ticks, high_ticks, low_ticks, "
    "close_ticks, volume, amount_fen, source, version) VALUES"
)


def run() -> list[Case]:
    market_data.load_bars()
    with leased(numpy=True) as client:
        cases = [one_code(client), repeated(), batch(client), market_year(client)]
    return [*cases, loading()]


def raw_frame(client: NativeClient, where: str, *, coded: bool) -> pd.DataFrame:
    code = "code, " if coded else ""
    columns = client.execute(RAW.format(code=code, where=where, order=code), columnar=True)
    names = ["code", *NAMES] if coded else NAMES
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def one_code(client: NativeClient) -> Case:
    since = market_data.last_day() - timedelta(days=100)
    duck, lite = market_data.open_duckdb(), market_data.open_sqlite()
    codes = Codes(market_data.CSV_CODES)
    duck_query = "SELECT * FROM bars WHERE code = ? ORDER BY datetime DESC LIMIT 60"
    klines, files = ClickHouseKlines(), FileKlines(market_data.DIRECTORY / "files")

    def cold(store: Any) -> Callable[[], object]:
        def read() -> object:
            store.close() if isinstance(store, FileKlines) else store._history._frames.clear()
            return store.get_kline(codes.next(), days=60)

        return read

    klines.get_kline(codes.next(), days=60)
    return measure(
        "60 bars of one code, first read",
        {
            "platform": cold(klines),
            "raw clickhouse-driver": lambda: raw_frame(
                client, f"code = '{codes.next()}' AND trade_date >= '{since}'", coded=False
            ).tail(60),
            "legacy CSV": lambda: pd.read_csv(market_data.csv_path(codes.next())).tail(60),
            "platform, file mode": cold(files),
            "DuckDB": lambda: duck.execute(duck_query, [codes.next()]).df(),
            "SQLite": lambda: pd.read_sql_query(duck_query, lite, params=(codes.next(),)),
        },
        200,
        goal="≤ 1.3",
    )


def repeated() -> Case:
    klines, files = ClickHouseKlines(), FileKlines(market_data.DIRECTORY / "files")
    code = market_data.CSV_CODES[0]
    path = market_data.csv_path(code)

    def read() -> object:
        return klines.get_kline(code, days=60)

    return measure(
        "60 bars of one code, repeated read",
        {
            "platform": read,
            "legacy CSV": lambda: pd.read_csv(path).tail(60),
            "platform, file mode": lambda: files.get_kline(code, days=60),
        },
        400,
        goal="≤ 0.1 ms",
    )


def batch(client: NativeClient) -> Case:
    since = market_data.last_day() - timedelta(days=100)
    chance = random.Random(market_data.SEED)
    duck = market_data.open_duckdb()
    klines = ClickHouseKlines()

    def codes() -> list[str]:
        return chance.sample(market_data.CODES, 100)

    def read() -> object:
        klines._history._frames.clear()
        return klines.batch_get_kline(codes(), days=60)

    def raw() -> object:
        where = f"code IN {tuple(codes())} AND trade_date >= '{since}'"
        frame = raw_frame(client, where, coded=True)
        return dict(list(frame.groupby("code", observed=True)))

    def peer() -> object:
        frame = duck.execute(
            f"SELECT * FROM bars WHERE code IN {tuple(codes())} "
            f"AND datetime >= {since:%Y%m%d} ORDER BY code, datetime"
        ).df()
        return dict(list(frame.groupby("code")))

    return measure(
        "60 bars of 100 codes",
        {"platform": read, "raw clickhouse-driver": raw, "DuckDB": peer},
        30,
        goal="DuckDB",
    )


def market_year(client: NativeClient) -> Case:
    klines = ClickHouseKlines()
    duck = market_data.open_duckdb()
    return measure(
        "one year of the market (1.3 million bars)",
        {
            "platform": lambda: klines.read_kline_frame(None, "2024-01-01", "2024-12-31"),
            "raw clickhouse-driver": lambda: raw_frame(
                client, "trade_date BETWEEN '2024-01-01' AND '2024-12-31'", coded=True
            ),
            "DuckDB": lambda: duck.execute(
                "SELECT * FROM bars WHERE datetime BETWEEN 20240101 AND 20241231 "
                "ORDER BY code, datetime"
            ).df(),
        },
        7,
        goal="DuckDB",
    )


def loading() -> Case:
    """Insert 625,000 bars; raw has its arrays ready, the platform checks and rounds a frame."""
    frame = next(market_data.bar_frames())
    bars = quality.check_bars(frame)
    rows = len(bars)
    market_data.use_database("bench_scratch")
    klines = ClickHouseKlines()

    def empty() -> None:
        with leased() as client:
            client.execute("TRUNCATE TABLE daily_kline")

    def write() -> None:
        klines.write_klines(frame)

    def raw() -> None:
        columns = [
            np.full(rows, "none", dtype=object), bars.code, bars.day, bars.open, bars.high,
            bars.low, bars.close, bars.volume, bars.amount, np.full(rows, "", dtype=object),
            np.full(rows, time.time_ns(), dtype=np.uint64),
        ]  # fmt: skip
        with leased(numpy=True) as client:
            client.execute(INSERT, columns, columnar=True)

    empty()
    case = measure(
        "load 625,000 bars", {"platform": write, "raw clickhouse-driver": raw}, 6, goal="≤ 1.18"
    )
    empty()
    market_data.use_database("bench")
    return case


class Codes:
    """An endless row of codes in a random order, so that no candidate meets a warm one."""

    def __init__(self, codes: list[str]) -> None:
        shuffled = random.Random(market_data.SEED).sample(codes, len(codes))
        self._codes = itertools.cycle(shuffled)

    def next(self) -> str:
        return next(self._codes)
