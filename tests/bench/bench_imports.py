"""Imports: 5,000 files of 550 bars, and an order log of 200,000 rows, into ClickHouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from django.db import connections

from storage_app.contract.types import Trade
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.imports.trades import import_trades
from storage_app.legacy.directory import explore
from storage_app.services import actors
from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
from tests.bench import market_data
from tests.bench.bench_klines import INSERT
from tests.bench.harness import ROOT, Case, measure
from trades_app import ingest, quality
from trades_app.connection import leased

FILES = 5000
DAYS = 550
ORDERS = 200_000
ACCOUNT = "55009728"
DIRECTORY = market_data.DIRECTORY / "imports"
# The driver's own limit of a block; the platform inserts block by block as well.
_BLOCK = 1_000_000

NOTES = ""
_NOTES = (
    "{files:,} files × {days} bars are read, judged, compared with what is stored and inserted "
    "into an empty table; {orders:,} orders (GBK) likewise. The raw driver inserts the same rows "
    "from arrays that are ready, so it neither reads files nor checks anything: 60 % of its rate "
    "is a ratio of 1.67. In this run the platform imported {bars:,.0f} bars and {rows:,.0f} "
    "orders a second. The peak memory of a process that imports all of this was {memory:.0f} MB, "
    "of which {base:.0f} MB are needed to start."
)

# Imports a directory (if one is given) and prints the peak of its own memory in MB, as the
# operating system has counted it. Only the product is loaded.
_PROGRAM = """
import sys
from pathlib import Path
import django
django.setup()
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.legacy.directory import explore
from storage_app.services import actors
from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
class Stores(ClickHouseKlines, ClickHouseTrades):
    pass
for place in sys.argv[1:]:
    options = ImportOptions("55009728", Path(place) / "calendar.csv")
    for _ in run_import(explore(Path(place)), Stores(), actors.command("bench"), options):
        pass
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def run() -> list[Case]:
    global NOTES
    make_files()
    market_data.use_database("bench_imports")
    cases = [bars(), orders()]
    empty("daily_kline")
    empty("trade")
    NOTES = _NOTES.format(
        files=FILES,
        days=DAYS,
        orders=ORDERS,
        bars=FILES * DAYS / cases[0].timings[0].median,
        rows=ORDERS / cases[1].timings[0].median,
        memory=peak_memory(DIRECTORY),
        base=peak_memory(),
    )
    empty("daily_kline")
    empty("trade")
    return cases


def bars() -> Case:
    directory = explore(DIRECTORY / "_daily_bench")
    raw_columns = _raw_bars()

    def platform() -> None:
        empty("daily_kline")
        results = run_import(directory, _Stores(), actors.command("bench"), options())
        assert sum(result.new for result in results) == FILES * DAYS

    def raw() -> None:
        empty("daily_kline")
        for start in range(0, FILES * DAYS, _BLOCK):
            block = [column[start : start + _BLOCK] for column in raw_columns]
            with leased(numpy=True) as client:
                client.execute(INSERT, block, columnar=True)

    name = f"import {FILES:,} files × {DAYS} bars"
    candidates = {"platform": platform, "raw clickhouse-driver": raw}
    return measure(name, candidates, 3, warm_up=1, goal="≤ 1.67")


def orders() -> Case:
    path = DIRECTORY / "prod_pwc" / "deal_hist.csv"
    columns = _raw_trades()

    def platform() -> None:
        empty("trade")
        assert import_trades(ClickHouseTrades(), path, "", options()).new == ORDERS

    def raw() -> None:
        empty("trade")
        ingest.insert_trades(columns)

    name = f"import {ORDERS:,} orders"
    candidates = {"platform": platform, "raw clickhouse-driver": raw}
    return measure(name, candidates, 3, warm_up=1, goal="50,000 rows/s")


def peak_memory(*places: Path) -> float:
    """Return the peak memory of a process, in MB, that imports directories, or only starts."""
    options = connections.settings["clickhouse"]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, places)],
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "silverquant_site.settings",
            "CLICKHOUSE_PORT": str(options["PORT"]),
            "CLICKHOUSE_DATABASE": options["NAME"],
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


class _Stores(ClickHouseKlines, ClickHouseTrades):  # type: ignore[misc]
    """ClickHouse alone: no other server and no mirror takes part."""


def options() -> ImportOptions:
    return ImportOptions(ACCOUNT, DIRECTORY / "calendar.csv")


def empty(table: str) -> None:
    with leased() as client:
        client.execute(f"TRUNCATE TABLE {table}")


def make_files() -> None:
    """Write the files, unless as many stand there."""
    marker = DIRECTORY / f"{FILES}-{DAYS}-{ORDERS}"
    if marker.exists():
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    folder = DIRECTORY / "_daily_bench"
    folder.mkdir(parents=True)
    for code, part in _bars_by_code():
        part.to_csv(folder / f"{code}.csv", index=False)
    _write_orders(DIRECTORY / "prod_pwc" / "deal_hist.csv")
    marker.touch()


def _bars_by_code() -> list[tuple[str, pd.DataFrame]]:
    found: list[tuple[str, pd.DataFrame]] = []
    for frame in market_data.bar_frames():
        for code, part in frame.groupby("code", sort=False):
            if len(found) == FILES:
                return found
            found.append((str(code), part.drop(columns="code").tail(DAYS)))
    return found


def _raw_bars() -> list[np.ndarray]:
    """Return the columns of the insert, as whole numbers."""
    parts = [part.assign(code=code) for code, part in _bars_by_code()]
    ready = quality.check_bars(pd.concat(parts, ignore_index=True))
    rows = len(ready)
    return [
        np.full(rows, "none", dtype=object), ready.code, ready.day, ready.open, ready.high,
        ready.low, ready.close, ready.volume, ready.amount, np.full(rows, "", dtype=object),
        np.full(rows, time.time_ns(), dtype=np.uint64),
    ]  # fmt: skip


def _write_orders(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="gbk", newline="") as stream:
        stream.write("日期,时间,代码,名称,类型,注释,成交价,成交量\r\n")
        for row in _trades():
            stream.write(
                f"{row.trade_date},{row.traded_at:%H:%M:%S},{row.code},{row.name},限买委托,"
                f"{row.remark},{row.price},{row.volume}\r\n"
            )


def _trades() -> list[Trade]:
    """Return trades in the order of time, as a strategy appends them."""
    rows = market_data.trades() * (ORDERS // market_data.TRADES + 1)
    return sorted(rows[:ORDERS], key=lambda row: row.traded_at)


def _raw_trades() -> dict[str, list[object]]:
    """Return the columns of the trades as the driver takes them."""
    rows = _trades()
    columns = {name: [getattr(row, name) for row in rows] for name in ingest.TRADE_COLUMNS}
    for name in ("order_type", "price_type"):
        columns[name] = [kind.value for kind in columns[name]]
    return columns
