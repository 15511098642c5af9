"""The month of the example under many kills: `python -m tests.silverquant --seed 1 --kills 30`."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests import servers  # first, since it points the settings at private servers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

import django

django.setup()

from django.db import connections  # noqa: E402

from storage_app.stores.compose import create_data_store  # noqa: E402
from tests.faults import databases  # noqa: E402
from tests.silverquant import kills, month  # noqa: E402

logger = logging.getLogger("month")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.silverquant", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=22)
    parser.add_argument("--kills", type=int, default=30, help="of the process")
    parser.add_argument("--outages", type=int, default=3, help="of each server")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logger.setLevel(logging.INFO)
    databases.make()
    databases.empty_redis()
    base = Path(tempfile.mkdtemp(prefix="month-"))
    days = month.june(options.days)
    outages = ["redis", "clickhouse", "mysql"] * options.outages
    try:
        events = kills.draw(options.seed, days, options.kills, outages)
        started = kills.run(base / "run", base / "data", days, events)
        store = create_data_store("hybrid", {"data_dir": base / "data"})
        kills.settle(store)
        connections.close_all()  # those of before an outage
        month.check(store, month.Reckoning.of(base / "run", days), base / "data")
        store.close()
    finally:
        servers.stop_all()
    shutil.rmtree(base)
    logger.info(
        "seed %d: %d days in %d processes, %d outages, and the books are right",
        options.seed, len(days), started, len(outages),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
