from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from storage_app.contract.errors import Conflict, Corrupt, NotFound, Unavailable
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.strategies import FileStrategies
from tests.servers import ROOT

ACCOUNT = "55009728"


@pytest.fixture
def store(tmp_path):
    return FileAccounts(tmp_path)


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_file_is_one_that_a_person_can_read(store, tmp_path):
    store.create_account(ACCOUNT, "张三", "QMT", "1000000")
    entry = content(tmp_path / "accounts.json")["accounts"][ACCOUNT]
    assert entry["account_name"] == "张三"
    assert entry["initial_capital"] == "1000000.00"
    assert "张三" in (tmp_path / "accounts.json").read_text(encoding="utf-8")


def test_capital_is_kept_by_day(store, tmp_path, trading_morning):
    store.create_account(ACCOUNT, "Main", "QMT", 5)
    store.update_account_capital(ACCOUNT, 1, 3, 2)
    store.update_account_capital(ACCOUNT, 0, "2.5", 2.5)
    days = content(tmp_path / "assets" / f"{ACCOUNT}.json")
    assert list(days) == ["2026-03-02"]
    assert days["2026-03-02"]["total_assets"] == "2.50"
    assert days["2026-03-02"]["current_capital"] == "0.00"


def test_refused_capital_leaves_no_file_behind(store, tmp_path):
    with pytest.raises(NotFound):
        store.update_account_capital(ACCOUNT, 1, 1, 0)
    assert not (tmp_path / "assets").exists()
    assert not (tmp_path / "accounts.json").exists()


def test_change_of_status_keeps_its_reasons(store, tmp_path):
    store.create_account(ACCOUNT, "Main", "QMT", 5)
    store.set_account_status(ACCOUNT, "suspended", "maintenance")
    store.set_account_status(ACCOUNT, "active", "over")
    history = content(tmp_path / "accounts.json")["accounts"][ACCOUNT]["history"]
    assert [(one["status"], one["reason"]) for one in history] == [
        ("suspended", "maintenance"),
        ("active", "over"),
    ]
    assert history[0]["actor"].startswith("trader@")


def test_what_a_person_edits_counts(store, tmp_path):
    store.create_account(ACCOUNT, "Main", "QMT", 5)
    path = tmp_path / "accounts.json"
    document = content(path)
    document["accounts"][ACCOUNT]["account_name"] = "Edited"
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    assert store.get_account(ACCOUNT)["account_name"] == "Edited"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"initial_capital": "5.00"', '"initial_capital": "five"'),
        lambda text: text.replace('"initial_capital"', '"capital"'),
        lambda text: text.replace('"status": "active"', '"status": "asleep"'),
        lambda text: text.replace('"capital_at": null', '"capital_at": "yesterday"'),
        lambda text: text.replace('"bindings": []', '"bindings": [1]'),
        lambda text: text.replace('"bindings": []', '"bindings": {"a": 1}'),
        lambda text: json.dumps({"accounts": []}),
        lambda text: json.dumps({"accounts": {ACCOUNT: 7}}),
    ],
)
def test_damaged_file_is_refused_with_its_path_and_left_as_it_is(store, tmp_path, damage):
    store.create_account(ACCOUNT, "Main", "QMT", 5)
    path = tmp_path / "accounts.json"
    damaged = damage(path.read_text(encoding="utf-8"))
    path.write_text(damaged, encoding="utf-8")
    for call in (
        lambda: store.get_account(ACCOUNT),
        store.list_accounts,
        lambda: store.create_account("account-2", "New", "QMT", 1),
        lambda: store.set_account_status(ACCOUNT, "inactive", "why"),
    ):
        with pytest.raises(Corrupt, match=r"accounts\.json"):
            call()
    assert path.read_text(encoding="utf-8") == damaged


def test_directory_that_cannot_be_used_is_an_outage(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = FileAccounts(tmp_path / "file")
    for call in (store.ping, lambda: store.create_account(ACCOUNT, "Main", "QMT", 1)):
        with pytest.raises(Unavailable):
            call()


def test_binding_reads_the_strategies_of_the_same_directory(store, tmp_path):
    store.create_account(ACCOUNT, "Main", "QMT", 5)
    strategies = FileStrategies(tmp_path)
    strategies.create_strategy("Alpha", "alpha", "other", "1.0.0")
    assert store.bind_strategy(ACCOUNT, " Alpha ", 5) == 1
    with pytest.raises(Conflict):
        store.create_account(ACCOUNT, "Again", "QMT", 5)


def test_acknowledged_accounts_survive_a_kill_at_any_moment(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from storage_app.stores.file.accounts import FileAccounts\n"
        "store = FileAccounts(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    store.create_account(f'account-{n:06d}', 'Main', 'QMT', 1)\n"
        "    print(n, flush=True)\n"
    )
    for _ in range(3):
        for path in tmp_path.iterdir():
            path.unlink()
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        acknowledged = [child.stdout.readline() for _ in range(15)]
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += child.stdout.readlines()
        child.wait()
        count = len(FileAccounts(tmp_path).list_accounts())
        assert count - len(acknowledged) in (0, 1)
