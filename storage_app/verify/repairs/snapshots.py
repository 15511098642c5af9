"""Accounts and strategies: the relational database is right, its snapshot is taken anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage_app.contract.errors import Corrupt
from storage_app.stores.file.documents import locked, read_document, updating
from storage_app.stores.file.strategies import FileStrategies
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from storage_app.verify import pending, strategies
from storage_app.verify.accounts import CAPITAL_FIELDS
from storage_app.verify.differences import Kind
from storage_app.verify.documents import snapshot_directory
from storage_app.verify.repairs.steps import Done, Step, set_aside
from storage_app.verify.scope import Scope


def take(scope: Scope, step: Step) -> Done:
    return _take_accounts(scope) if step.kind is Kind.ACCOUNTS else _take_strategies(scope)


def _take_accounts(scope: Scope) -> Done:
    path = snapshot_directory(scope) / "accounts.json"
    damaged = _set_aside_damaged(path)
    with updating(path) as document:
        known = document.get("accounts", {})
        before = {"accounts": len(known), "bindings": len(document.get("bindings", []))}
        new = OrmAccounts().dump()
        # Capital that is owed is newer here than in the database.
        for number in pending.capital_accounts(scope.journal) & known.keys():
            capital = {key: known[number][key] for key in CAPITAL_FIELDS}
            new["accounts"].setdefault(number, {}).update(capital)
        document.clear()
        document.update(new)
    after = {"accounts": len(new["accounts"]), "bindings": len(new["bindings"])}
    return Done(before | damaged, after | {"written": str(path)})


def _take_strategies(scope: Scope) -> Done:
    root = snapshot_directory(scope) / "strategies"
    path = root / "strategies.json"
    damaged = _set_aside_damaged(path)
    wrong = _remove_wrong_versions(root)
    files = FileStrategies(snapshot_directory(scope))
    database = OrmStrategies()
    files.load_snapshot(database.dump, database.dump_params)
    return Done({"wrong versions": wrong} | damaged, {"wrong versions": [], "written": str(path)})


def _remove_wrong_versions(root: Path) -> list[str]:
    """Put the files of versions aside that differ from the database; return their names."""
    wrong: list[str] = []
    for name, entry in OrmStrategies().dump()["strategies"].items():
        found = list(strategies.compare_parameters(root, name, entry))
        keys = {one.key for one in found}
        for saved in entry["versions"]:
            path = strategies.version_path(root, entry, saved["version"])
            is_wrong = strategies.version_key(name, saved["version"]) in keys or str(path) in keys
            if is_wrong and path.exists():
                wrong.append(path.name)
                set_aside(path)
    return wrong


def _set_aside_damaged(path: Path) -> dict[str, Any]:
    """Free the place of a document that nobody can read; a whole one stays."""
    try:
        document = read_document(path)
        is_whole = all(isinstance(value, dict | list) for value in document.values())
    except Corrupt:
        is_whole = False
    if is_whole:
        return {}
    with locked(path):
        return {"damaged": set_aside(path).name}
