"""Strategies and every parameter version: the relational database against its snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.db.models import Max

from storage_app.contract import parameters
from storage_app.contract.errors import Corrupt
from storage_app.models import ParamVersion, Strategy
from storage_app.stores.file.documents import Document, read_document
from storage_app.stores.orm import OrmStrategies, translating
from storage_app.verify.differences import Difference, Kind, Problem, damaged, told
from storage_app.verify.documents import (
    compare_fields,
    differ_in,
    has_snapshot,
    seconds_to_settle,
    snapshot_directory,
    standing,
)
from storage_app.verify.scope import Examination, Scope

# Versions whose parameters are in memory at once.
BATCH: Final = 50


def compare(exam: Examination) -> Iterator[Difference]:
    if not has_snapshot(exam):
        return
    found = list(_compare(exam))
    if found and (wait := _wait(exam.scope)):
        time.sleep(wait)
        found = standing(found, list(_compare(exam)))
    yield from found


def _wait(scope: Scope) -> float:
    with translating():
        changed = (
            Strategy.objects.aggregate(at=Max("updated_at"))["at"],
            ParamVersion.objects.aggregate(at=Max("created_at"))["at"],
        )
    return seconds_to_settle(scope.patience.snapshots, changed)


def _compare(exam: Examination) -> Iterator[Difference]:
    root = snapshot_directory(exam.scope) / "strategies"
    path = root / "strategies.json"
    try:
        snapshot = read_document(path).get("strategies", {})
    except Corrupt as exc:
        yield damaged(Kind.STRATEGIES, exc, Kind.STRATEGIES)
        return
    database = OrmStrategies().dump()["strategies"]
    exam.counts["strategies"] = len(database)
    exam.counts["versions"] = sum(len(one["versions"]) for one in database.values())
    names = sorted(database.keys() | snapshot.keys())
    differ = differ_in(Kind.STRATEGIES, "database", str(path))
    for number, name in enumerate(names):
        exam.step(Kind.STRATEGIES, number, len(names))
        one, other = database.get(name), snapshot.get(name)
        try:
            yield from compare_fields(differ, name, _own(one), _own(other))
            if one is not None and other is not None:
                yield from _versions(path, name, one, other)
        except (AttributeError, KeyError, TypeError) as exc:
            error = Corrupt(path, f"{name}: {type(exc).__name__} {exc}")
            yield damaged(Kind.STRATEGIES, error, Kind.STRATEGIES)
        if one is not None:
            yield from compare_parameters(root, name, one)
    exam.step(Kind.STRATEGIES, len(names), len(names))


def _own(entry: Document | None) -> Document | None:
    if entry is None:
        return None
    return {key: value for key, value in entry.items() if key != "versions"}


def _versions(path: Path, name: str, one: Document, other: Document) -> Iterator[Difference]:
    """Compare what the index says of each version."""
    differ = differ_in(Kind.STRATEGIES, "database", str(path))
    left, right = (
        {saved["version"]: saved for saved in entry["versions"]} for entry in (one, other)
    )
    for version in sorted(left.keys() | right.keys()):
        key = version_key(name, version)
        yield from compare_fields(differ, key, left.get(version), right.get(version))


def version_key(name: str, version: int) -> str:
    return f"{name} v{version}"


def version_path(root: Path, entry: Document, version: int) -> Path:
    return root / f"{entry['strategy_code']}_v{version}.json"


def compare_parameters(root: Path, name: str, entry: Document) -> Iterator[Difference]:
    """Compare the parameters of every version, key by key."""
    versions = [saved["version"] for saved in entry["versions"]]
    for start in range(0, len(versions), BATCH):
        part = versions[start : start + BATCH]
        for version, params in sorted(OrmStrategies().dump_params(name, part).items()):
            yield from _compare_params(version_path(root, entry, version), name, version, params)


def _compare_params(
    path: Path, name: str, version: int, params: dict[str, Any]
) -> Iterator[Difference]:
    key = version_key(name, version)
    differ = differ_in(Kind.STRATEGIES, "database", str(path))
    try:
        document = read_document(path)
    except Corrupt as exc:
        yield damaged(Kind.STRATEGIES, exc, Kind.STRATEGIES)
        return
    stored = document.get("params")
    if not isinstance(stored, dict):
        yield differ(
            key, "params", told("%(count)d parameters", count=len(params)), None, Problem.MISSING
        )
        return
    for parameter, (one, other) in parameters.compare(params, stored).pairs().items():
        yield differ(key, f"params.{parameter}", one, other, Problem.DIFFERS)
    if document.get("version") != version:
        yield differ(key, "version", version, document.get("version"), Problem.DIFFERS)
