"""A checksum computed here equals the one that ClickHouse computes, whatever the values."""

from __future__ import annotations

import tracemalloc
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
from storage_app.stores.file import trade_lines
from storage_app.stores.file.trades import FileTrades
from storage_app.verify import trade_rows
from storage_app.verify.klines import _sum_frame
from tests.factories import make_trade
from trades_app.market import clock
from trades_app.queries import checksums

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


def odd_trades():
    at = datetime(2026, 3, 2, 23, 59, 59, 999_000, tzinfo=clock.SHANGHAI)
    texts = ["", '中文, "引号"', "a\\nb\nc\rd", "\x1f", "ünïcödé 😀"]
    for number, text in enumerate(texts):
        yield make_trade(remark=text, name=text[:5], trade_id=f"T{number}", timestamp=at)
    yield make_trade(order_type="cancel", price=0, volume=1, order_id="C", trade_id="")
    yield make_trade(price="999999.999", volume=10**9, price_type="limit", strategy_name="策略")
    yield make_trade(price="0.001", timestamp=at.replace(year=2025, microsecond=1000))


def test_trades(clickhouse, tmp_path):
    trades = list(odd_trades())
    ClickHouseTrades().write_trades(trades)
    FileTrades(tmp_path).write_trades(trades)
    sums = {}
    for path in trade_rows.account_paths(tmp_path, "55009728"):
        trade_rows.add_to(sums, path)
    ledger = checksums.sum_days("55009728")
    assert {str(day): one for day, one in ledger.items()} == sums
    assert sum(one.count for one in sums.values()) == len(trades)


def test_bars(clickhouse):
    random = np.random.default_rng(7)
    count = 200
    low = random.integers(-50_000, 900_000_000, count)
    prices = {"low": low, "high": low + 9_000}
    prices |= {name: low + random.integers(0, 9_000, count) for name in ("open", "close")}
    frame = pd.DataFrame(
        {
            "code": "600000.SH",
            "datetime": [
                20260101 + 10000 * (n // 12) - 200000 + 100 * (n % 12) for n in range(count)
            ],
            **{name: ticks / 1000 for name, ticks in prices.items()},
            "volume": random.integers(0, 2**40, count),
            "amount": random.integers(0, 10**14, count) / 100,
        }
    )
    store = ClickHouseKlines()
    store.write_klines(frame, "qfq")
    found = checksums.sum_bars("qfq", {"600000.SH": 2**63})["600000.SH"]
    ours = _sum_frame(store.get_kline("600000.SH", adjust="qfq"))
    assert (found.rows, found.first, found.last) == (ours.rows, ours.first, ours.last)
    assert found.checksum == ours.checksum
    assert checksums.sum_bars("qfq", {"600000.SH": 1})["600000.SH"].rows == 0


def test_memory_holds_days_and_not_lines(tmp_path):
    directory = tmp_path / "trades" / "55009728"
    directory.mkdir(parents=True)
    line = trade_lines.encode([make_trade()])
    (directory / "2026.csv").write_bytes(trade_lines.HEADER + line * 20_000)
    sums = {}
    tracemalloc.start()
    trade_rows.add_to(sums, directory / "2026.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sums["2026-03-02"].count == 20_000
    # The lines take two million bytes, and several times that as rows.
    assert peak < 500_000
