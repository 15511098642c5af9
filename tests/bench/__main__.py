"""`python -m tests.bench [SUITE ...]`: measure; write a table and a chart under docs/bench."""

from __future__ import annotations

import logging
import os
import sys

from tests import servers  # first, since it points the settings at private servers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

import django

django.setup()

from tests.bench import (  # noqa: E402
    bench_hybrid,
    bench_imports,
    bench_journal,
    bench_klines,
    bench_ledger,
    bench_pages,
    bench_positions,
    bench_sell_scan,
    bench_strategies,
    chart,
    harness,
    market_data,
)

logger = logging.getLogger("bench")

SUITES = {
    "klines": (bench_klines, "Daily bars"),
    "ledger": (bench_ledger, "Trades"),
    "positions": (bench_positions, "Positions"),
    "strategies": (bench_strategies, "Strategy parameters"),
    "journal": (bench_journal, "The journal of hybrid mode"),
    "hybrid": (bench_hybrid, "Hybrid mode"),
    "pages": (bench_pages, "Pages of the admin"),
    "imports": (bench_imports, "Imports"),
    "sell_scan": (bench_sell_scan, "A sell scan of a strategy"),
}
ON_CLICKHOUSE = {"klines", "ledger", "pages", "imports"}


def main(names: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    chosen = names or list(SUITES)
    server = market_data.start_server() if ON_CLICKHOUSE.intersection(chosen) else None
    try:
        for name in chosen:
            module, title = SUITES[name]
            cases = module.run()
            path = harness.write_report(name, title, module.NOTES, cases)
            groups = chart.before_and_after(cases)
            if groups:
                chart.write(path.with_suffix(".svg"), f"{title}: before and after", groups)
            logger.info("%s\n%s\n", path, harness.as_markdown(cases))
    finally:
        if server is not None:
            server.stop()
        servers.stop_all()


main(sys.argv[1:])
