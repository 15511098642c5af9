"""The documents of a book of positions in files, and what stands in them; `positions.py` has
their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from storage_app.contract import arguments as parse
from storage_app.contract.errors import Corrupt, InvalidInput
from storage_app.contract.positions import with_extreme
from storage_app.contract.types import BookMarks, BookState, PositionFlag, PositionState
from storage_app.stores.file.documents import Document

POSITIONS = "positions.json"
MAX_PRICES = "max_price.json"
MIN_PRICES = "min_price.json"
APPLIED = "applied_trades.json"
INCREMENT_DATE = "_inc_date"
REVISION = "_rev"
GENERATION = "_gen"
LEASE = "_lease"
LINEAGE = "_was"
WHOLE = "_whole"

_MARKS = (REVISION, GENERATION, LEASE, LINEAGE, WHOLE)

Documents = dict[str, Document]
_T = TypeVar("_T")


@dataclass(slots=True)
class Draft:
    """A book open for change."""

    increment_date: date | None
    positions: dict[str, PositionState]
    applied: Document
    # Of the server's copy, where this book mirrors one; None keeps what stands there.
    marks: Document | None = None


def parse_book(directory: Path, documents: Documents) -> BookState:
    """Return the book; Corrupt names the file and the code that cannot be believed."""
    path = directory / POSITIONS
    entries = {key: value for key, value in documents[POSITIONS].items() if key[:1] != "_"}
    highest = _parse_prices(directory / MAX_PRICES, documents[MAX_PRICES])
    lowest = _parse_prices(directory / MIN_PRICES, documents[MIN_PRICES])
    positions = _by_code(path, entries, _parse_entry)
    for code in highest.keys() | lowest.keys():
        state = positions.get(code)
        positions[code] = with_extreme(
            code, state, max_price=highest.get(code), min_price=lowest.get(code)
        )
    with believing(path, INCREMENT_DATE):
        done = documents[POSITIONS].get(INCREMENT_DATE)
        return BookState(parse.parse_date(done) if done else None, positions)


def write_book(documents: Documents, draft: Draft) -> None:
    """Put the draft into the documents, keeping what other programs wrote beside it."""
    old = documents[POSITIONS]
    new = {key: value for key, value in old.items() if key[:1] == "_" and key != INCREMENT_DATE}
    if draft.increment_date is not None:
        new[INCREMENT_DATE] = draft.increment_date.isoformat()
    for code, state in draft.positions.items():
        if not _is_price_only(state):
            new[code] = {**_foreign_keys(old.get(code)), **_format_entry(state)}
    if draft.marks is not None:
        new = {key: value for key, value in new.items() if key not in _MARKS} | draft.marks
    documents[POSITIONS] = new
    documents[MAX_PRICES] = {
        code: state.max_price
        for code, state in draft.positions.items()
        if state.max_price is not None
    }
    documents[MIN_PRICES] = {
        code: state.min_price
        for code, state in draft.positions.items()
        if state.min_price is not None
    }
    documents[APPLIED] = draft.applied


def parse_marks(document: Document) -> BookMarks:
    return BookMarks(
        str(document.get(GENERATION, "")),
        int(document.get(REVISION, 0)),
        str(document.get(LEASE, "")),
    )


def format_marks(marks: BookMarks, lineage: Mapping[str, int], whole: int) -> Document:
    document: Document = {REVISION: marks.revision, GENERATION: marks.generation}
    optional = {
        LEASE: marks.lease,
        LINEAGE: dict(lineage),
        WHOLE: whole if whole != marks.revision else None,
    }
    return document | {key: value for key, value in optional.items() if value not in ("", {}, None)}


def _parse_entry(code: str, value: Any) -> PositionState:
    if not isinstance(value, dict):
        raise InvalidInput('an object like {"day_count": 3} was expected')
    days, volume, opened_on = (value.get(key) for key in ("day_count", "volume", "opened_on"))
    return PositionState(
        code,
        held_days=None if days is None else parse.parse_held_days(days),
        volume=None if volume is None else parse.parse_remaining(volume),
        opened_on=None if opened_on is None else parse.parse_date(opened_on),
        flag=parse.parse_choice(PositionFlag)(value.get("flag", PositionFlag.CLEAR)),
    )


def _format_entry(state: PositionState) -> Document:
    known = {
        "volume": state.volume,
        "opened_on": state.opened_on.isoformat() if state.opened_on else None,
        "flag": state.flag.value or None,
    }
    present = {key: value for key, value in known.items() if value is not None}
    return {"day_count": state.held_days, **present}


def _foreign_keys(entry: Any) -> Document:
    own = {"day_count", "volume", "opened_on", "flag"}
    return {key: value for key, value in (entry or {}).items() if key not in own}


def _parse_prices(path: Path, document: Document) -> dict[str, float]:
    return _by_code(path, document, lambda _, value: float(parse.parse_price(value)))


def _by_code(path: Path, document: Document, read: Callable[[str, Any], _T]) -> dict[str, _T]:
    parsed: dict[str, _T] = {}
    for key, value in document.items():
        with believing(path, key):
            code = parse.parse_code(key)
            if code in parsed:
                raise InvalidInput(f"{code} stands there twice")
            parsed[code] = read(code, value)
    return parsed


@contextmanager
def believing(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as exc:
        raise Corrupt(path, f"{key!r}: {exc}") from exc


def _is_price_only(state: PositionState) -> bool:
    """Tell whether the price files alone say all of it."""
    has_price = state.max_price is not None or state.min_price is not None
    is_plain = state.held_days is None and state.volume is None and state.opened_on is None
    return state.flag is PositionFlag.LEFTOVER and has_price and is_plain
