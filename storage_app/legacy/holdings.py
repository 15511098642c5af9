"""Holding files: `positions.json`, `held_days.json` and the price extremes beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from storage_app.legacy import fields
from storage_app.legacy.text import (
    LegacyFileError,
    Rejected,
    has_byte_order_mark,
    read_bytes,
    read_text,
)
from trades_app.market import codes

INCREMENT_KEY = "_inc_date"
# The first that exists counts: what strategies write today before what they wrote once.
HOLDING_NAMES = ("positions.json", "held_days.json")
MAX_PRICE_NAMES = ("max_price.json", "max_prices.json")
MIN_PRICE_NAMES = ("min_price.json", "min_prices.json")

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a file with the line it stands on."""

    key: str
    value: Any
    line: int

    def reject(self, reason: str) -> Rejected:
        raw = json.dumps({self.key: self.value}, ensure_ascii=False, default=str)
        return Rejected(self.line, self.key, _show(self.value), reason, raw)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Held days by code, None meaning a closed position, and the date of the last increment."""

    days: dict[str, int | None] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    increment_date: date | None = None


@dataclass(frozen=True, slots=True)
class Extremes:
    """Highest or lowest prices by code, in yuan.

    Strategies write no date of increment beside them; files of rejects do.
    """

    prices: dict[str, Decimal] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    increment_date: date | None = None


def read_holdings(path: Path) -> Holdings:
    """Read either form; a damaged file is refused, since empty would mean 'no positions'.

    A code may carry a number, a numeric text, null or an object with `day_count`.
    """
    entries = _read_entries(path)
    rejected: list[Rejected] = []
    increment_date = _find_marker(entries, rejected)
    days, kept = _by_code(entries, _parse_days, rejected)
    return Holdings(days, kept, rejected, increment_date)


def read_extremes(path: Path) -> Extremes:
    entries = _read_entries(path)
    rejected: list[Rejected] = []
    increment_date = _find_marker(entries, rejected)
    prices, kept = _by_code(entries, _parse_extreme, rejected)
    return Extremes(prices, kept, rejected, increment_date)


def _find_marker(entries: list[Entry], rejected: list[Rejected]) -> date | None:
    marker = next((entry for entry in entries if entry.key == INCREMENT_KEY), None)
    if marker is None or marker.value is None:
        return None
    try:
        return fields.parse_day(_show(marker.value))
    except ValueError as exc:
        rejected.append(marker.reject(f"{exc}; the next increment may count a day twice"))
        return None


def _by_code(
    entries: list[Entry], parse: Callable[[Any], ValueT], rejected: list[Rejected]
) -> tuple[dict[str, ValueT], dict[str, Entry]]:
    values: dict[str, ValueT] = {}
    kept: dict[str, Entry] = {}
    for entry in entries:
        if entry.key.startswith("_"):
            continue
        try:
            code = _parse_new(entry.key, kept)
            values[code], kept[code] = parse(entry.value), entry
        except ValueError as exc:
            rejected.append(entry.reject(str(exc)))
    return values, kept


def _parse_new(key: str, known: Container[str]) -> str:
    code = codes.parse_code(key)
    if code in known:
        raise ValueError(f"{code} is listed twice")
    if not codes.holdable(code):
        raise ValueError(f"{code} cannot be held: index, repo, standard bond or B share")
    return code


def _parse_days(value: Any) -> int | None:
    if isinstance(value, dict):
        if "day_count" not in value:
            raise ValueError("there is no day_count")
        value = value["day_count"]
    if value is None:
        return None
    number = fields.parse_number(_show(value))
    if number != number.to_integral_value() or not 0 <= number < 100_000:
        raise ValueError("held days must be a whole number from 0")
    return int(number)


def _parse_extreme(value: Any) -> Decimal:
    return fields.parse_price(_show(value))


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _read_entries(path: Path) -> list[Entry]:
    if has_byte_order_mark(read_bytes(path)):
        # No strategy reads such a file, so its state went on elsewhere or was lost.
        reason = "starts with a byte order mark, which strategies cannot read; save it without"
        raise LegacyFileError(path, 1, "character 1", "", reason)
    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=_Pairs, parse_float=Decimal)
    except json.JSONDecodeError as exc:
        column = f"character {exc.colno}"
        reason = f"{exc.msg}: the file is damaged or cut off"
        raise LegacyFileError(path, exc.lineno, column, _around(exc), reason) from exc
    except RecursionError as exc:
        raise LegacyFileError(path, 1, "", "", "too deeply nested") from exc
    if not isinstance(content, _Pairs):
        raise LegacyFileError(path, 1, "", text, "not an object of codes")
    return list(_located(content, text))


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order, repeated ones included."""


def _located(pairs: _Pairs, text: str) -> Iterator[Entry]:
    position = 0
    for key, value in pairs:
        # Writers escape Chinese or not; a key found in neither form keeps the last position.
        spellings = (json.dumps(key), json.dumps(key, ensure_ascii=False))
        found = max(text.find(spelling, position) for spelling in spellings)
        position = max(found, position)
        yield Entry(key, _plain(value), text.count("\n", 0, position) + 1)
        position += 1


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, _Pairs) else value


def _around(error: json.JSONDecodeError) -> str:
    lines = error.doc.splitlines() or [""]
    return lines[min(error.lineno, len(lines)) - 1].strip()
