"""Strategy parameters as JSON can hold them: what is accepted, what is converted, what differs."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from storage_app.contract.errors import InvalidInput

logger = logging.getLogger(__name__)

# MariaDB refuses JSON deeper than 32 levels; no strategy comes near.
MAX_DEPTH = 20
MAX_BYTES = 1024 * 1024
_INTEGER_LIMIT = 2**63


class Absence(StrEnum):
    """What `compare_strategy_params` shows for a key that a version does not have.

    Test with `is ABSENT`; as text, and so in JSON and on pages, it is `<absent>`.
    """

    ABSENT = "<absent>"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absence.ABSENT


@dataclass(frozen=True, slots=True)
class Normalised:
    """Parameters ready to store; `converted` names each place that is not stored as it came."""

    params: dict[str, Any]
    converted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """How version b differs from version a."""

    added: dict[str, Any] = field(default_factory=dict)
    removed: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def pairs(self) -> dict[str, tuple[Any, Any]]:
        """Return `{key: (a, b)}` of all keys that differ, in order of the keys."""
        pairs = dict(self.changed)
        pairs |= {key: (ABSENT, value) for key, value in self.added.items()}
        pairs |= {key: (value, ABSENT) for key, value in self.removed.items()}
        return dict(sorted(pairs.items()))


def normalise(params: Mapping[str, Any]) -> Normalised:
    """Return parameters of int, float, str, bool, None, list and dict only.

    A tuple becomes a list, a set a sorted list. InvalidInput names the path of a value or key
    that cannot be stored: NaN, infinity, a key that is not text, any other type.
    """
    if not isinstance(params, Mapping):
        raise InvalidInput(f"parameters must be a mapping, not {type(params).__name__}")
    notes: list[str] = []
    plain = _plain_mapping(params, "", notes)
    size = len(json.dumps(plain, ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise InvalidInput(f"parameters take {size} bytes, at most {MAX_BYTES} are kept")
    return Normalised(plain, tuple(notes))


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """Compare two sets key by key; 1, 1.0 and True are three different values."""
    return Comparison(
        added={key: b[key] for key in sorted(b.keys() - a.keys())},
        removed={key: a[key] for key in sorted(a.keys() - b.keys())},
        changed={
            key: (a[key], b[key])
            for key in sorted(a.keys() & b.keys())
            if _canonical(a[key]) != _canonical(b[key])
        },
    )


def log_conversions(strategy_name: str, version: int, normalised: Normalised) -> None:
    if normalised.converted:
        logger.info(
            "Strategy %s version %s: %s",
            strategy_name,
            version,
            ", ".join(normalised.converted),
        )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(value: Any, path: str, notes: list[str], depth: int = 1) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"parameter {path[:80]!r} is nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    for types, convert in _CONVERTERS:
        if isinstance(value, types):
            return convert(value, path, notes, depth)
    raise InvalidInput(
        f"parameter {path!r} is a {type(value).__name__}; "
        "use int, float, str, bool, None, list or dict"
    )


def _plain_integer(value: int, path: str, notes: list[str], depth: int) -> int:
    if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise InvalidInput(f"parameter {path!r} is beyond 64 bits")
    return int(value)


def _plain_float(value: float, path: str, notes: list[str], depth: int) -> float:
    if not math.isfinite(value):
        raise InvalidInput(f"parameter {path!r} is {value}, not a finite number")
    return float(value)


def _plain_text(value: str, path: str, notes: list[str], depth: int) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"parameter {path!r} holds text that is not valid Unicode") from exc
    return str.__str__(value)


def _plain_mapping(
    value: Mapping[Any, Any], path: str, notes: list[str], depth: int = 0
) -> dict[str, Any]:
    plain = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidInput(f"parameter key {key!r} at {path or 'the top'!r} must be text")
        key = _plain_text(key, f"{path}.{key!a}", notes, depth)
        plain[key] = _plain(item, f"{path}.{key}" if path else key, notes, depth + 1)
    return plain


def _plain_list(value: Any, path: str, notes: list[str], depth: int) -> list[Any]:
    if isinstance(value, tuple):
        notes.append(f"{path}: tuple to list")
    return [_plain(item, f"{path}[{n}]", notes, depth + 1) for n, item in enumerate(value)]


def _plain_set(value: Any, path: str, notes: list[str], depth: int) -> list[Any]:
    try:
        ordered = sorted(value)
    except TypeError as exc:
        raise InvalidInput(f"parameter {path!r} is a set of values without an order") from exc
    notes.append(f"{path}: set to sorted list")
    return _plain_list(ordered, path, notes, depth)


_CONVERTERS: tuple[tuple[Any, Callable[[Any, str, list[str], int], Any]], ...] = (
    (int, _plain_integer),
    (float, _plain_float),
    (str, _plain_text),
    (Mapping, _plain_mapping),
    ((list, tuple), _plain_list),
    ((set, frozenset), _plain_set),
)
