from __future__ import annotations

import json

import pytest

from storage_app.contract.errors import Corrupt, NotFound
from storage_app.stores.file.strategies import FileStrategies


@pytest.fixture
def store(tmp_path):
    store = FileStrategies(tmp_path)
    store.create_strategy("Alpha", "alpha", "other", "1.0.0")
    return store


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "strategies"


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_version_is_a_file_of_its_own_that_nothing_rewrites(store, directory):
    store.save_strategy_params("Alpha", {"回落": 0.05}, "first")
    first = (directory / "alpha_v1.json").read_bytes()
    store.save_strategy_params("Alpha", {"回落": 0.06})
    store.activate_strategy_params("Alpha", 1)
    assert (directory / "alpha_v1.json").read_bytes() == first
    assert content(directory / "alpha_v2.json")["params"] == {"回落": 0.06}
    assert content(directory / "alpha_v1.json")["remark"] == "first"
    assert content(directory / "strategies.json")["strategies"]["Alpha"]["active_version"] == 1


def test_version_that_a_crash_left_half_saved_does_not_count(store, directory):
    store.save_strategy_params("Alpha", {"n": 1})
    (directory / "alpha_v2.json").write_text('{"version": 2, "params": {"n": "never acknow')
    assert store.get_strategy_params("Alpha") == {"n": 1}
    with pytest.raises(NotFound):
        store.get_strategy_params("Alpha", 2)
    assert store.save_strategy_params("Alpha", {"n": 2}) == 2
    assert store.get_strategy_params("Alpha", 2) == {"n": 2}


@pytest.mark.parametrize(
    "text", ["", '{"params": {"n"', "{}", '{"version": 1}', '{"version": 2, "params": {}}']
)
def test_damaged_version_is_refused_with_its_path(store, directory, text):
    store.save_strategy_params("Alpha", {"n": 1})
    (directory / "alpha_v1.json").write_text(text)
    for call in (
        lambda: store.get_strategy_params("Alpha"),
        lambda: store.get_strategy_params("Alpha", 1),
        lambda: store.compare_strategy_params("Alpha", 1, 1),
    ):
        with pytest.raises(Corrupt, match=r"alpha_v1\.json"):
            call()
    assert (directory / "alpha_v1.json").read_text() == text


def test_missing_version_is_damage_and_not_an_empty_answer(store, directory):
    store.save_strategy_params("Alpha", {"n": 1})
    (directory / "alpha_v1.json").unlink()
    with pytest.raises(Corrupt, match=r"alpha_v1\.json"):
        store.get_strategy_params("Alpha")


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.pop("strategy_code"),
        lambda entry: entry.update(strategy_code="../alpha"),
        lambda entry: entry.update(status="asleep"),
        lambda entry: entry.update(versions=None),
        lambda entry: entry["versions"].pop(0),
        lambda entry: entry["versions"][0].update(created_at="2026-03-02T09:31:00"),
        lambda entry: entry.update(active_version=7),
    ],
)
def test_damaged_index_is_refused_with_the_strategy(store, directory, damage):
    for n in range(2):
        store.save_strategy_params("Alpha", {"n": n})
    path = directory / "strategies.json"
    document = content(path)
    damage(document["strategies"]["Alpha"])
    path.write_text(json.dumps(document))
    for call in (
        lambda: store.get_strategy_params("Alpha"),
        store.list_strategies,
        lambda: store.save_strategy_params("Alpha", {}),
    ):
        with pytest.raises(Corrupt, match=r"strategies\.json.*Alpha"):
            call()
    assert content(path) == document
