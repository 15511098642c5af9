"""Trades: 100,000 orders and fills of three accounts over three years."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import replace

import pandas as pd

from storage_app.stores import clickhouse
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.file.trades import FileTrades
from tests.bench import market_data
from tests.bench.harness import Case, measure
from trades_app import ingest
from trades_app.connection import NativeClient, leased
from trades_app.queries import trades as queries

NOTES = (
    "The raw driver asks the same rows and makes the same dicts. For the sums by month raw is "
    "the plain `SUM` by month, which knows neither cost nor fee; fetching the fills that FIFO "
    "needs is shown beside it. Writes are acknowledged when they are on the disk (the embedded "
    "server and the files sync each write, legacy does not). Legacy is `deal_hist.csv` as "
    "strategies append and read it."
)
ACCOUNT = market_data.ACCOUNTS[0]
SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
LEGACY_LINE = "2026-03-02,09:31:05,600000.SH,浦发银行,限买委托,买入委托,10.5,1000\n"
KEYS = (
    "trade_uid", "account_id", "traded_at", "trade_date", "code", "name", "order_type", "price",
    "volume", "strategy_name", "remark", "price_type", "order_id", "trade_id", "source", "amount",
)  # fmt: skip
RAW_YEAR = (
    "SELECT trade_uid, account_id, traded_at, trade_date, code, name, order_type, "
    "toFloat64(price), volume, strategy_name, remark, price_type, order_id, trade_id, source, "
    f"toFloat64(amount) FROM trade FINAL WHERE account_id = '{ACCOUNT}' AND trade_date BETWEEN "
    f"'2024-01-01' AND '2024-12-31' ORDER BY traded_at DESC LIMIT 20000 {SETTINGS}"
)
RAW_MONTHS = (
    "SELECT toYYYYMM(trade_date) AS month, order_type, count(), toFloat64(sum(amount)) "
    f"FROM trade FINAL WHERE account_id = '{ACCOUNT}' AND order_type IN "
    f"('buy_trade', 'sell_trade') GROUP BY month, order_type ORDER BY month {SETTINGS}"
)


def run() -> list[Case]:
    market_data.load_trades()
    with leased() as client:
        cases = [year(client), months(client)]
    return [*cases, one_trade(), bulk()]


def files() -> FileTrades:
    return FileTrades(market_data.DIRECTORY / "files")


def year(client: NativeClient) -> Case:
    store, file_store, lite = ClickHouseTrades(), files(), market_data.open_sqlite()
    asked = (ACCOUNT, "2024-01-01", "2024-12-31", None, None, 20_000)

    def peer() -> object:
        rows = lite.execute(
            "SELECT * FROM trade WHERE account_id = ? AND trade_date BETWEEN '2024-01-01' AND "
            "'2024-12-31' ORDER BY timestamp DESC",
            (ACCOUNT,),
        )
        return [dict(zip(KEYS, row, strict=True)) for row in rows]

    def legacy() -> object:
        frame = pd.read_csv(market_data.LEGACY_TRADES, encoding="gbk")
        return frame[frame["日期"].between("2024-01-01", "2024-12-31")].to_dict("records")

    return measure(
        "a year of one account as dicts (11,000 rows)",
        {
            "platform": lambda: store.query_trades(*asked),
            "raw clickhouse-driver": lambda: [
                dict(zip(KEYS, row, strict=True)) for row in client.execute(RAW_YEAR)
            ],
            "legacy CSV": legacy,
            "platform, file mode": lambda: file_store.query_trades(*asked),
            "SQLite": peer,
        },
        15,
        goal="≤ 1.1",
    )


def months(client: NativeClient) -> Case:
    store, file_store = ClickHouseTrades(), files()
    asked = (ACCOUNT, "2023-01-01", "2025-12-31", "month")
    return measure(
        "profit of three years by month (13,000 fills)",
        {
            "platform": lambda: store.aggregate_trades(*asked),
            "raw clickhouse-driver, plain sums": lambda: client.execute(RAW_MONTHS),
            "raw clickhouse-driver, the fills": lambda: queries.read_fills(
                ACCOUNT, market_data.last_day()
            ),
            "platform, file mode": lambda: file_store.aggregate_trades(*asked),
        },
        30,
        goal="≤ 1.3",
    )


def one_trade() -> Case:
    market_data.use_database("bench_scratch")
    store = ClickHouseTrades()
    directory = market_data.DIRECTORY / "scratch"
    file_store = FileTrades(directory)
    legacy = directory / "deal_hist.csv"
    directory.mkdir(parents=True, exist_ok=True)
    fresh = (
        replace(trade, trade_uid=f"{trade.trade_uid[:-12]}{n:012d}")
        for n, trade in enumerate(itertools.cycle(market_data.trades()[:5000]))
    )

    def append_synced() -> None:
        with (directory / "raw.csv").open("ab", buffering=0) as stream:
            stream.write(LEGACY_LINE.encode())
            os.fsync(stream.fileno())

    def append() -> None:
        with legacy.open("a", encoding="gbk") as stream:
            stream.write(LEGACY_LINE)

    case = measure(
        "record one trade",
        {
            "platform, file mode": lambda: file_store.write_trades([next(fresh)]),
            "raw append, synced": append_synced,
            "legacy CSV, not synced": append,
            "platform": lambda: store.write_trades([next(fresh)]),
            "raw insert": lambda: ingest.insert_trades(clickhouse._columns([next(fresh)])),
        },
        60,
    )
    shutil.rmtree(directory)
    _empty()
    return case


def bulk() -> Case:
    """Write 20,000 trades; raw has its columns ready and looks nothing up."""
    market_data.use_database("bench_scratch")
    store = ClickHouseTrades()
    rows = market_data.trades()[:20_000]
    columns = clickhouse._columns(rows)

    def platform() -> None:
        _empty()
        store.write_trades(rows)

    def raw() -> None:
        _empty()
        ingest.insert_trades(columns)

    case = measure("import 20,000 trades", {"platform": platform, "raw insert": raw}, 5)
    _empty()
    market_data.use_database("bench")
    return case


def _empty() -> None:
    with leased() as client:
        client.execute("TRUNCATE TABLE trade")
