"""What the journal costs a trading thread, beside an append to a growing file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from storage_app.stores.journal import Journal
from tests.bench.harness import ROOT, Case, measure

NOTES = (
    "Both write one trade and sync it, in turns on the same disk. The naive file grows, so that "
    "each sync writes the size as well; how much that costs is a property of the disk."
)
BODY = {
    "account_id": "55009728", "traded_at": 1772415060.0, "code": "600000.SH", "name": "浦发银行",
    "order_type": "buy_trade", "price": "10.500", "volume": 1000, "remark": "买入成交",
    "trade_id": "T-20260302-000001", "strategy_name": "wencai",
}  # fmt: skip


def run(rounds: int = 400) -> list[Case]:
    # On the disk of the checkout, since /tmp may be memory.
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as name:
        directory = Path(name)
        journal = Journal(directory / "journal")
        with (directory / "naive.log").open("ab", buffering=0) as stream:

            def append_naively() -> None:
                stream.write(json.dumps(BODY).encode() + b"\n")
                os.fdatasync(stream.fileno())

            def append() -> None:
                journal.append("trade", BODY)

            candidates = {"journal": append, "append + fdatasync": append_naively}
            case = measure("append and sync", candidates, rounds, warm_up=20, goal="≤ 0.50")
        journal.close()
    return [case]
