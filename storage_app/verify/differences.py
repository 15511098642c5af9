"""What a comparison finds, and how it is written down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from storage_app.contract.errors import Corrupt


class Kind(StrEnum):
    """What is compared; each kind is a module of this package."""

    POSITIONS = "positions"
    TRADES = "trades"
    KLINES = "klines"
    ACCOUNTS = "accounts"
    STRATEGIES = "strategies"
    JOURNALS = "journals"
    BACKUPS = "backups"
    CALENDAR = "calendar"


class Problem(StrEnum):
    DIFFERS = "differs"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    DAMAGED = "damaged"
    OWED = "owed"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Side:
    """One store's word: where it stands and what stands there, None for nothing.

    The value is JSON, or a sentence as `told` makes it.
    """

    where: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two stores that disagree about one field of one thing.

    `key` names the thing for a person, `unit` is what a repair works on (a book, a day of an
    account, a code). `since` is the start of the first report in which the difference stood.
    """

    kind: Kind
    problem: Problem
    key: str
    field: str
    left: Side
    right: Side
    unit: str = ""
    account_id: str = ""
    since: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same difference in another report, whatever the values are now."""
        return self.kind.value, self.key, self.field

    def as_finding(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "problem": self.problem.value,
            "account_id": self.account_id,
            "key": self.key,
            "field": self.field,
            "left": self.left.where,
            "left_value": _plain(self.left.value),
            "right": self.right.where,
            "right_value": _plain(self.right.value),
            "since": self.since,
        }


def identity_of(finding: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the identity of a difference that a report holds."""
    return str(finding.get("kind")), str(finding.get("key")), str(finding.get("field"))


def damaged(kind: Kind, error: Corrupt, unit: str = "", account_id: str = "") -> Difference:
    """Return what a file that cannot be believed amounts to."""
    path = str(error.path)
    sides = Side(path, error.reason), Side("")
    return Difference(kind, Problem.DAMAGED, path, "", *sides, unit or path, account_id)


def below(difference: Difference, data_dir: Path) -> Difference:
    """Return the difference with its paths told from DATA_DIR on."""
    start = f"{data_dir}{os.sep}"
    left, right = (
        replace(side, where=side.where.removeprefix(start))
        for side in (difference.left, difference.right)
    )
    return replace(difference, key=difference.key.removeprefix(start), left=left, right=right)


def told(message: str, **values: Any) -> list[Any]:
    """Return a value that is a sentence; whoever shows it translates the message."""
    return [message, values]


def since(difference: Difference, moment: str) -> Difference:
    return replace(difference, since=moment)


def _plain(value: Any) -> Any:
    """Return a value as JSON shows it: dates as text, prices and money without an exponent."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case StrEnum():
            return value.value
        case Path():
            return str(value)
        case _:
            return value
