"""Bars and trades of real size, made from a seed and loaded once into a directory that stays."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
from django.db import connections

from storage_app.contract.types import OrderType, PriceType, Trade
from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
from storage_app.stores.file.trades import FileTrades
from tests import servers
from tests.bench.harness import ROOT
from trades_app.connection import leased
from trades_app.market import clock
from trades_app.schema import TABLES

DIRECTORY = ROOT / "var" / "bench"
SEED = 20260302
DAYS = 1250
CODES = [f"{600000 + n}.SH" for n in range(2000)] + [f"{n + 1:06d}.SZ" for n in range(3000)]
TRADES = 100_000
ACCOUNTS = ("55009728", "66001234", "77001234")
FIRST_TRADE = datetime(2023, 1, 2, 9, 31, tzinfo=clock.SHANGHAI)
# Codes that also stand as legacy CSV files; reading takes one file at a time.
CSV_CODES = CODES[::50]
LEGACY_TRADES = DIRECTORY / "deal_hist.csv"
_BATCH = 500


class BenchClickHouse(servers.ClickHouse):
    @property
    def directory(self) -> Path:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        return DIRECTORY


def start_server() -> BenchClickHouse:
    """Start ClickHouse on the directory that stays and point Django's settings at it."""
    server = BenchClickHouse("bench")
    server.start()
    options = connections.settings["clickhouse"]
    options.update(HOST="127.0.0.1", PORT=server.port, NAME="default")
    return server


def use_database(name: str) -> None:
    """Switch to a database with the platform's tables, made when missing."""
    options = connections.settings["clickhouse"]
    options["NAME"] = "default"
    with leased() as client:
        client.execute(f"CREATE DATABASE IF NOT EXISTS {name} ENGINE = Atomic")
    options["NAME"] = name
    with leased() as client:
        for table in TABLES:
            for statement in table.create_statements():
                client.execute(statement)


def bar_frames() -> Iterator[pd.DataFrame]:
    """Yield 6.25 million daily bars, 500 codes at a time."""
    chance = np.random.default_rng(SEED)
    days = pd.bdate_range("2021-03-01", periods=DAYS).strftime("%Y%m%d").astype(int).to_numpy()
    for start in range(0, len(CODES), _BATCH):
        yield _bars(chance, CODES[start : start + _BATCH], days)


def _bars(chance: np.random.Generator, codes: list[str], days: np.ndarray) -> pd.DataFrame:
    shape = (len(codes), len(days))
    moves = np.cumprod(1 + chance.normal(0, 0.02, shape), axis=1)
    close = np.clip(moves * chance.uniform(4, 60, (len(codes), 1)), 1, 2000)
    open_ = close * (1 + chance.normal(0, 0.01, shape))
    high = np.maximum(close, open_) * (1 + abs(chance.normal(0, 0.01, shape)))
    low = np.minimum(close, open_) * (1 - abs(chance.normal(0, 0.01, shape)))
    volume = chance.lognormal(15, 1, shape).astype(np.int64)
    prices = {"open": open_, "high": high, "low": low, "close": close}
    columns = {name: np.round(values, 2).ravel() for name, values in prices.items()}
    return pd.DataFrame(
        {
            "code": np.repeat(np.array(codes, dtype=object), len(days)),
            "datetime": np.tile(days, len(codes)),
            **columns,
            "volume": volume.ravel(),
            "amount": np.round(volume.ravel() * columns["close"], 2),
        }
    )


def trades() -> list[Trade]:
    """Return 100,000 orders and fills of three accounts over three years."""
    chance = np.random.default_rng(SEED + 1)
    columns = zip(
        chance.integers(0, 1095, TRADES).tolist(),
        chance.integers(0, 14_000_000, TRADES).tolist(),
        chance.integers(300, 9000, TRADES).tolist(),
        chance.integers(1, 50, TRADES).tolist(),
        chance.integers(0, len(ACCOUNTS), TRADES).tolist(),
        chance.integers(0, 300, TRADES).tolist(),
        chance.choice(list(OrderType), TRADES).tolist(),
        strict=True,
    )
    return [_trade(number, *values) for number, values in enumerate(columns)]


def _trade(
    number: int, day: int, ms: int, cents: int, lots: int, account: int, code: int, kind: str
) -> Trade:
    traded_at = FIRST_TRADE + timedelta(days=day, milliseconds=ms)
    return Trade(
        trade_uid=str(UUID(int=SEED << 64 | number)),
        account_id=ACCOUNTS[account],
        traded_at=traded_at,
        trade_date=traded_at.date(),
        code=CODES[code],
        name="浦发银行",
        order_type=OrderType(kind),
        price=Decimal(cents) / 100,
        volume=lots * 100,
        strategy_name="问财选股",
        remark="5日换仓卖单",
        price_type=PriceType.LIMIT,
        order_id=f"{number // 2}",
        trade_id=f"{number}",
    )


def load_bars() -> None:
    """Load the bars into ClickHouse, DuckDB, SQLite and CSV files, unless they stand there."""
    use_database("bench")
    if (DIRECTORY / "bars.loaded").exists():
        return
    klines = ClickHouseKlines()
    duck, lite = open_duckdb(), open_sqlite()
    columns = (
        "code VARCHAR, datetime INTEGER, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, "
        "volume BIGINT, amount DOUBLE"
    )
    duck.execute(f"CREATE OR REPLACE TABLE bars ({columns})")
    lite.execute("DROP TABLE IF EXISTS bars")
    lite.execute(f"CREATE TABLE bars ({columns}, PRIMARY KEY (code, datetime)) WITHOUT ROWID")
    for frame in bar_frames():
        klines.write_klines(frame, source="bench")
        duck.register("part", frame)
        duck.execute("INSERT INTO bars SELECT * FROM part")
        lite.executemany(
            "INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            frame.itertuples(index=False, name=None),
        )
        for code in set(CSV_CODES) & set(frame["code"]):
            part = frame[frame["code"] == code].drop(columns="code")
            path = csv_path(code)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.to_csv(path, index=False)
    lite.commit()
    lite.close()
    duck.close()
    with leased() as client:
        client.execute("OPTIMIZE TABLE daily_kline FINAL")
    (DIRECTORY / "bars.loaded").touch()


def load_pages(account_ids: Sequence[str]) -> None:
    """Load bars and trades of these accounts into a database of their own, unless they stand."""
    use_database("bench_pages")
    with leased() as client:
        ((bars,),) = client.execute("SELECT count() FROM daily_kline")
        ((rows,),) = client.execute("SELECT count() FROM trade")
    if bars < len(CODES) * DAYS:
        klines = ClickHouseKlines()
        for frame in bar_frames():
            klines.write_klines(frame, source="bench")
    if rows < TRADES:
        spread = zip(trades(), itertools.cycle(account_ids), strict=False)
        ClickHouseTrades().write_trades([replace(row, account_id=one) for row, one in spread])
    with leased() as client:
        client.execute("OPTIMIZE TABLE daily_kline FINAL")
        client.execute("OPTIMIZE TABLE trade FINAL")


def load_trades() -> None:
    """Load the trades into ClickHouse, files and SQLite, unless they stand there."""
    use_database("bench")
    if (DIRECTORY / "trades.loaded").exists():
        return
    rows = trades()
    ClickHouseTrades().write_trades(rows)
    FileTrades(DIRECTORY / "files").write_trades(rows)
    _write_legacy_trades([row for row in rows if row.account_id == ACCOUNTS[0]])
    lite = open_sqlite()
    lite.execute("DROP TABLE IF EXISTS trade")
    lite.execute(
        "CREATE TABLE trade (trade_uid TEXT PRIMARY KEY, account_id TEXT, timestamp TEXT, "
        "trade_date TEXT, code TEXT, name TEXT, order_type TEXT, price REAL, volume INTEGER, "
        "strategy_name TEXT, remark TEXT, price_type TEXT, order_id TEXT, trade_id TEXT, "
        "source TEXT, amount REAL)"
    )
    lite.executemany(
        f"INSERT INTO trade VALUES ({', '.join('?' * 16)})",
        [
            (
                row.trade_uid, row.account_id, row.traded_at.isoformat(), f"{row.trade_date}",
                row.code, row.name, row.order_type.value, float(row.price), row.volume,
                row.strategy_name, row.remark, row.price_type.value, row.order_id, row.trade_id,
                row.source, float(row.amount),
            )
            for row in rows
        ],
    )  # fmt: skip
    lite.execute("CREATE INDEX trade_by_day ON trade (account_id, trade_date)")
    lite.commit()
    lite.close()
    with leased() as client:
        client.execute("OPTIMIZE TABLE trade FINAL")
    (DIRECTORY / "trades.loaded").touch()


def _write_legacy_trades(rows: list[Trade]) -> None:
    with LEGACY_TRADES.open("w", encoding="gbk") as stream:
        stream.write("日期,时间,代码,名称,类型,注释,成交价,成交量\n")
        for row in sorted(rows, key=lambda row: row.traded_at):
            stream.write(
                f"{row.trade_date},{row.traded_at:%H:%M:%S},{row.code},{row.name},限买委托,"
                f"{row.remark},{row.price},{row.volume}\n"
            )


def csv_path(code: str) -> Path:
    return DIRECTORY / "files" / "klines" / "none" / f"{code}.csv"


def open_duckdb() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(DIRECTORY / "bars.duckdb"))


def open_sqlite() -> sqlite3.Connection:
    return sqlite3.connect(DIRECTORY / "peers.sqlite3")


def last_day() -> date:
    return pd.bdate_range("2021-03-01", periods=DAYS)[-1].date()
