"""Trading programs that tests kill: processes of their own over the test databases.

    python -m tests.faults.writers DATA_DIR NAME

Each acknowledged trade is a line on the standard output: the number it was written with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ACCOUNT = "55009728"


def start(data_dir, name):
    """Start a writer; its output is what it was acknowledged."""
    from django.db import connections

    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    environment = {**os.environ, "TEST_DATABASES": json.dumps(names)}
    command = [sys.executable, "-m", "tests.faults.writers", str(data_dir), name]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def open_store(data_dir):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    import django
    from django.conf import settings

    for alias, name in json.loads(os.environ["TEST_DATABASES"]).items():
        settings.DATABASES[alias]["NAME"] = name
    django.setup()
    from storage_app import create_data_store

    return create_data_store("hybrid", {"data_dir": data_dir})


def main(data_dir, name):
    store = open_store(data_dir)
    from trades_app.market import clock

    for number in range(1_000_000):
        store.record_trade(
            ACCOUNT, clock.now(), "600000.SH", "浦发银行", "buy_trade", f"{name} {number}",
            "10.500", 100, trade_id=f"{name}-{number}",
        )  # fmt: skip
        sys.stdout.write(f"{name} {number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
