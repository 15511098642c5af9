"""Documents of nested objects compared, and the snapshot files of the relational database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from django.db import connection
from django.utils.translation import gettext_noop

from storage_app.verify.differences import Difference, Kind, Problem, Side
from storage_app.verify.scope import Examination, Scope
from trades_app.market import clock

Differ: TypeAlias = Callable[[str, str, Any, Any, Problem], Difference]


def snapshot_directory(scope: Scope) -> Path:
    return scope.data_dir / "snapshot"


def has_snapshot(exam: Examination) -> bool:
    """Tell whether there should be a snapshot; where not, the examination says why."""
    if connection.vendor == "sqlite":
        exam.note(gettext_noop("The database is a SQLite file of this host: it has no snapshot."))
        return False
    if not exam.scope.keeps_mirror:
        exam.note(gettext_noop("ENABLE_DUAL_WRITE is off: there are no files to compare."))
        return False
    return True


def differ_in(kind: Kind, left: str, right: str, account_id: str = "") -> Differ:
    """Return what makes differences of one kind between two places."""

    def differ(key: str, field: str, one: Any, other: Any, problem: Problem) -> Difference:
        sides = Side(left, one), Side(right, other)
        return Difference(kind, problem, key, field, *sides, kind.value, account_id)

    return differ


def compare_fields(
    differ: Differ, key: str, one: Mapping[str, Any] | None, other: Mapping[str, Any] | None
) -> Iterator[Difference]:
    """Yield the fields of two objects that differ, or that one of them is missing."""
    if one is None or other is None:
        yield differ(key, "", _brief(one), _brief(other), Problem.MISSING)
        return
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield differ(key, name, one.get(name), other.get(name), Problem.DIFFERS)


def seconds_to_settle(patience: float, changed: Iterable[datetime | None]) -> float:
    """Return how long the snapshot may still take to follow the last of some changes."""
    known = [moment for moment in changed if moment is not None]
    if not known:
        return 0.0
    age = (clock.now() - max(known)).total_seconds()
    return min(max(patience - age, 0.0), patience)


def standing(first: Sequence[Difference], second: Sequence[Difference]) -> list[Difference]:
    """Return what differed at both looks, with a snapshot that has not moved in between."""
    before = {one.identity: one.right.value for one in first}
    absent = object()
    return [one for one in second if before.get(one.identity, absent) == one.right.value]


def _brief(values: Mapping[str, Any] | None) -> str | None:
    if values is None:
        return None
    return ", ".join(f"{name} {value}" for name, value in values.items() if _is_short(value))[:500]


def _is_short(value: Any) -> bool:
    return isinstance(value, str | int | float) and value != ""
