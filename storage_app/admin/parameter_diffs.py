"""Two sets of parameters side by side, down to the values inside of objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage_app.admin.parameter_forms import pretty
from storage_app.contract import parameters

CELL_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter in two versions; `kind` is added, removed, changed or same."""

    kind: str
    path: str
    before: str
    after: str


def side_by_side(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Row]:
    """Return a row per value, sorted by path; what stands in an object has a row of its own."""
    before, after = _flat(a), _flat(b)
    found = parameters.compare(before, after)
    rows = [
        *(Row("changed", key, brief(old), brief(new)) for key, (old, new) in found.changed.items()),
        *(Row("added", key, "", brief(value)) for key, value in found.added.items()),
        *(Row("removed", key, brief(value), "") for key, value in found.removed.items()),
    ]
    told = {row.path for row in rows}
    rows += [
        Row("same", key, brief(one), brief(one)) for key, one in before.items() if key not in told
    ]
    return sorted(rows, key=lambda row: row.path)


def brief(value: Any) -> str:
    """Return JSON on one line as long as it fits into a cell."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= CELL_LENGTH else pretty(value)


def _flat(params: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in params.items():
        here = f"{path} › {key}" if path else key
        if isinstance(value, dict) and value:
            flat |= _flat(value, here)
        else:
            flat[here] = value
    return flat
