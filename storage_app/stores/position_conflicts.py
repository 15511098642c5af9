"""Codes that stopped after an outage: the host and Redis tell different things of them.

`journal/position_conflicts.json` holds both sides of each, by book and code, until a person has
decided; it is written before anything of them is marked as done in the journal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from storage_app import alerts
from storage_app.contract.errors import NotFound
from storage_app.contract.types import PositionState
from storage_app.stores.file.documents import Document, read_document, updating
from storage_app.stores.position_entries import from_list, to_list
from trades_app.market import clock

logger = logging.getLogger(__name__)

KIND = "position conflict"
FILE = "position_conflicts.json"


@dataclass(frozen=True, slots=True)
class PositionConflict:
    """`differs` is held_days or volume; None stands for no position."""

    book: str
    code: str
    host: PositionState | None
    redis: PositionState | None
    differs: str
    at: datetime

    def __str__(self) -> str:
        return (
            f"{self.book} {self.code}: {self.differs} differs; this host has "
            f"{describe(self.host)}, Redis has {describe(self.redis)}"
        )

    @property
    def age(self) -> float:
        return (clock.now() - self.at).total_seconds()


def describe(state: PositionState | None) -> str:
    if state is None:
        return "no position"
    return f"age {state.held_days}, volume {state.volume}, max {state.max_price}"


def listed(directory: Path) -> list[PositionConflict]:
    """Return what waits for a decision below the journal in `directory`."""
    document = read_document(directory / FILE)
    return [
        _parse(book, code, values)
        for book, codes in sorted(document.items())
        for code, values in sorted(codes.items())
    ]


def find(directory: Path, book: str, code: str) -> PositionConflict:
    for one in listed(directory):
        if (one.book, one.code) == (book, code):
            return one
    raise NotFound(f"no conflict of {code} in book {book} waits for a decision on this host")


def note(directory: Path, conflicts: Iterable[PositionConflict]) -> None:
    """Store conflicts durably, and tell people of those that are new."""
    with updating(directory / FILE) as document:
        new = [one for one in conflicts if not _is_noted(document, one)]
        for one in new:
            document.setdefault(one.book, {})[one.code] = _format(one)
    for one in new:
        logger.error("Conflict of positions: %s", one)
        title = format_lazy(_("{code} in book {book} stopped"), code=one.code, book=one.book)
        alerts.send(_key(one.book, one.code), title, str(one), standing=True)


def drop(directory: Path, book: str, code: str) -> None:
    """Forget a conflict that is decided."""
    with updating(directory / FILE) as document:
        codes = document.get(book, {})
        codes.pop(code, None)
        if not codes:
            document.pop(book, None)
    title = format_lazy(_("{code} in book {book} is decided"), code=code, book=book)
    alerts.recovered(_key(book, code), title)


def _is_noted(document: Document, conflict: PositionConflict) -> bool:
    known = document.get(conflict.book, {}).get(conflict.code)
    return known is not None and known | {"at": ""} == _format(conflict) | {"at": ""}


def _format(conflict: PositionConflict) -> dict[str, Any]:
    return {
        "host": to_list(conflict.host),
        "redis": to_list(conflict.redis),
        "differs": conflict.differs,
        "at": conflict.at.isoformat(),
    }


def _parse(book: str, code: str, values: dict[str, Any]) -> PositionConflict:
    host, redis = from_list(values["host"]), from_list(values["redis"])
    at = datetime.fromisoformat(values["at"])
    return PositionConflict(book, code, host, redis, values["differs"], at)


def _key(book: str, code: str) -> str:
    return f"conflict {book} {code}"
