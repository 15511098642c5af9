"""Strategies in files: an index of all, and one file per parameter version, kept for ever.

    strategies/strategies.json      {"strategies": {"Alpha": {"id": 1, "strategy_code": "alpha",
                                                              "active_version": 2, "versions":
                                                              [{"version": 1, "remark": "…"}, …]}}}
    strategies/alpha_v2.json        {"strategy_code": "alpha", "version": 2, "params": {…}, …}

A version counts once it is in the index, which is written after its file: a file that a dead
process left beyond the last version is written over by the next save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from storage_app.contract import parameters, rows, rules
from storage_app.contract.errors import Conflict, Corrupt, InvalidInput, NotFound
from storage_app.contract.roles import StrategyBook
from storage_app.contract.rules import StrategyStatus
from storage_app.stores.file.documents import (
    Document,
    atomic_write_bytes,
    dump_document,
    make_directory,
    read_document,
    updating,
)
from storage_app.stores.file.records import believing, next_id, renumber
from trades_app.market import clock

Strategies = dict[str, Document]


class FileStrategies(StrategyBook):
    """Strategies below `data_dir`; threads and processes may share the directory."""

    component: ClassVar[str] = "files"

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "strategies"
        self._path = self._root / "strategies.json"

    def ping(self) -> None:
        make_directory(self._root)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def find(self, strategy_name: str) -> Document:
        """Return the entry in the index; NotFound when there is none."""
        return _find(self._read(), strategy_name)

    def create_strategy(
        self,
        strategy_name: str,
        strategy_code: str,
        strategy_type: str,
        version: str,
        description: str = "",
    ) -> int:
        new = rules.new_strategy(strategy_name, strategy_code, strategy_type, version, description)
        with self._updating() as strategies:
            _refuse_taken(strategies, new)
            ident = next_id(strategies.values())
            strategies[new.strategy_name] = _new_entry(ident, new)
        return ident

    def renumber(self, ident: int, now: int) -> None:
        """Give a strategy the number that the database has for it."""
        with self._updating() as strategies:
            renumber(strategies.values(), ident, now)

    def list_strategies(self) -> list[dict[str, Any]]:
        entries = self._read().values()
        return rows.strategy_rows([entry[key] for key in rows.STRATEGY_KEYS] for entry in entries)

    def get_strategy_params(self, strategy_name: str, version: int | None = None) -> dict[str, Any]:
        entry = self.find(strategy_name)
        if version is None:
            active = entry["active_version"]
            return {} if active is None else self._read_params(entry, active)
        return self._read_params(entry, version)

    def save_strategy_params(
        self, strategy_name: str, params: Mapping[str, Any], remark: str = ""
    ) -> int:
        normalised = parameters.normalise(params)
        remark = rules.parse_remark(remark)
        with self._updating() as strategies:
            entry = _find(strategies, strategy_name)
            version = self._append(entry, normalised.params, remark)
        parameters.log_conversions(entry["strategy_name"], version, normalised)
        return version

    def add_version(
        self, strategy_name: str, version: int, params: Mapping[str, Any], remark: str
    ) -> None:
        """Note what the database has made the next version, unless it is here already."""
        normalised = parameters.normalise(params)
        with self._updating() as strategies:
            entry = _find(strategies, strategy_name)
            if version == len(entry["versions"]) + 1:
                self._append(entry, normalised.params, rules.parse_remark(remark))

    def _append(self, entry: Document, params: Mapping[str, Any], remark: str) -> int:
        version = len(entry["versions"]) + 1
        saved = {
            "version": version,
            "remark": remark,
            "created_by": rules.trader_name(),
            "created_at": clock.now().isoformat(),
        }
        self._write_version(entry, saved | {"params": params})
        entry["versions"].append(saved)
        entry["active_version"] = version
        return version

    def activate_strategy_params(self, strategy_name: str, version: int) -> None:
        with self._updating() as strategies:
            entry = _find(strategies, strategy_name)
            _require_version(entry, version)
            entry["active_version"] = version

    def compare_strategy_params(
        self, strategy_name: str, version_a: int, version_b: int
    ) -> dict[str, tuple[Any, Any]]:
        entry = self.find(strategy_name)
        a, b = (self._read_params(entry, version) for version in (version_a, version_b))
        return parameters.compare(a, b).pairs()

    def list_strategy_versions(self, strategy_name: str) -> list[dict[str, Any]]:
        entry = self.find(strategy_name)
        return [_version_row(saved, entry) for saved in reversed(entry["versions"])]

    def exists(self) -> bool:
        return self._path.exists()

    def load_snapshot(
        self,
        read: Callable[[], Document],
        read_params: Callable[[str, list[int]], Mapping[int, Any]],
    ) -> None:
        """Replace the index by what `read` returns, after adding the versions that are not here.

        `read_params` returns parameters by version; versions never change, so each is read once.
        """
        with updating(self._path) as document:
            new = read()
            for entry in new["strategies"].values():
                self._add_versions(entry, read_params)
            document.update(new)

    def _add_versions(
        self, entry: Document, read_params: Callable[[str, list[int]], Mapping[int, Any]]
    ) -> None:
        by_number = {saved["version"]: saved for saved in entry["versions"]}
        missing = [n for n in by_number if not self._version_path(entry, n).exists()]
        if missing:
            for version, params in read_params(entry["strategy_name"], missing).items():
                self._write_version(entry, by_number[version] | {"params": params})

    def _read(self) -> Strategies:
        return _parse(self._path, read_document(self._path))

    @contextmanager
    def _updating(self) -> Iterator[Strategies]:
        with updating(self._path) as document:
            yield _parse(self._path, document)

    def _version_path(self, entry: Document, version: int) -> Path:
        return self._root / f"{entry['strategy_code']}_v{version}.json"

    def _write_version(self, entry: Document, saved: Document) -> None:
        names = {key: entry[key] for key in ("strategy_name", "strategy_code")}
        path = self._version_path(entry, saved["version"])
        atomic_write_bytes(path, dump_document(names | saved))

    def _read_params(self, entry: Document, version: int) -> dict[str, Any]:
        _require_version(entry, version)
        path = self._version_path(entry, version)
        document = read_document(path)
        params = document.get("params")
        if not isinstance(params, dict) or document.get("version") != version:
            raise Corrupt(path, f"the parameters of version {version} are not there")
        return params


def _parse(path: Path, document: Document) -> Strategies:
    """Return the strategies of the index, in which every entry can be shown."""
    strategies: Strategies = document.setdefault("strategies", {})
    with believing(path, "strategies"):
        entries = list(strategies.items())
    for name, entry in entries:
        with believing(path, f"strategy {name}"):
            _check_entry(entry)
    return strategies


def _check_entry(entry: Document) -> None:
    rules.parse_strategy_code(entry["strategy_code"])
    StrategyStatus(entry["status"])
    rows.strategy_rows([[entry[key] for key in rows.STRATEGY_KEYS]])
    numbers = [_version_row(saved, entry)["version"] for saved in entry["versions"]]
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidInput(f"the versions {numbers} have a gap")
    if entry["active_version"] not in numbers and numbers:
        raise InvalidInput(f"the active version {entry['active_version']} is not among {numbers}")


def _find(strategies: Strategies, strategy_name: str) -> Document:
    entry = strategies.get(rules.parse_lookup(strategy_name))
    if entry is None:
        raise NotFound(rules.describe_unknown_strategy(strategy_name))
    return entry


def _refuse_taken(strategies: Strategies, new: rules.NewStrategy) -> None:
    for field in ("strategy_name", "strategy_code"):
        value = getattr(new, field)
        if any(entry[field] == value for entry in strategies.values()):
            raise Conflict(rules.describe_taken_strategy(field, value))


def _require_version(entry: Document, version: int) -> None:
    if not 1 <= version <= len(entry["versions"]):
        raise NotFound(rules.describe_unknown_version(entry["strategy_name"], version))


def _new_entry(ident: int, new: rules.NewStrategy) -> Document:
    return {
        "id": ident,
        "strategy_name": new.strategy_name,
        "strategy_code": new.strategy_code,
        "strategy_type": new.strategy_type.value,
        "version": new.version,
        "status": StrategyStatus.TESTING.value,
        "description": new.description,
        "active_version": None,
        "created_at": clock.now().isoformat(),
        "versions": [],
    }


def _version_row(saved: Document, entry: Document) -> dict[str, Any]:
    return rows.version_row(
        saved["version"],
        saved["remark"],
        saved["created_by"],
        datetime.fromisoformat(saved["created_at"]),
        entry["active_version"],
    )
