"""Reading entries of JSON documents that a person may have edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

from storage_app.contract.errors import Corrupt


@contextmanager
def believing(path: Path, entry: str = "") -> Iterator[None]:
    """Turn what goes wrong with an entry into Corrupt, naming it; InvalidInput is a ValueError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation) as exc:
        where = f"{entry}: " if entry else ""
        raise Corrupt(path, f"{where}{type(exc).__name__} {exc}") from exc


def next_id(entries: Iterable[Mapping[str, int]]) -> int:
    return max((entry["id"] for entry in entries), default=0) + 1


def renumber(entries: Iterable[dict[str, Any]], ident: int, now: int) -> None:
    for entry in entries:
        if entry["id"] == ident:
            entry["id"] = now
