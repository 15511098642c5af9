"""Positions in JSON: changes as entries of the journal, the method with its checked arguments;
and whole copies of books."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from storage_app.contract.types import (
    BookCopy,
    BookMarks,
    BookState,
    PositionFlag,
    PositionState,
)
from storage_app.stores.journal import Entry

KIND: Final = "positions"
# The method of an entry that notes who holds the lease of a book.
CLAIM: Final = "claim"


def to_body(
    book: str,
    marks: BookMarks | None,
    method: str,
    arguments: Mapping[str, Any],
    *,
    is_change: bool = True,
) -> list[Any]:
    """Return an entry; `marks` are those that the change led to in Redis, None for a change that
    Redis does not have yet. `is_change=False`: Redis had its effect already."""
    plain = {name: _plain(value) for name, value in arguments.items()}
    return [book, None if marks is None else [*marks, is_change], method, plain]


def marks_of(body: list[Any]) -> BookMarks | None:
    return None if body[1] is None else BookMarks(*body[1][:3])


def by_revision(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield what was answered with one revision: the change, and what it made needless."""
    for _, group in groupby(sorted(entries, key=_revision), key=_revision):
        yield list(group)


def follows(body: list[Any], ours: BookMarks) -> bool:
    """Tell whether the copy that `ours` marks lacks what the entry led to."""
    marks = marks_of(body) or ours
    return marks.revision > ours.revision and ours.generation in ("", marks.generation)


def is_change(body: list[Any]) -> bool:
    return body[1] is None or all(body[1][3:])


def arguments_of(body: list[Any]) -> dict[str, Any]:
    return {name: _READERS.get(name, _same)(value) for name, value in body[3].items()}


def to_list(state: PositionState | None) -> list[Any] | None:
    if state is None:
        return None
    opened_on = state.opened_on and state.opened_on.isoformat()
    prices = (state.max_price, state.min_price)
    return [state.code, state.held_days, *prices, state.volume, opened_on, state.flag.value]


def from_list(values: list[Any] | None) -> PositionState | None:
    return None if values is None else _state(values)


def to_document(copy: BookCopy) -> dict[str, Any]:
    done = copy.state.increment_date
    return {
        "increment_date": done and done.isoformat(),
        "positions": {code: to_list(state) for code, state in copy.state.positions.items()},
        "applied": {identity: day.isoformat() for identity, day in copy.applied.items()},
        "marks": list(copy.marks),
        "lineage": dict(copy.lineage),
        "whole": copy.whole,
    }


def from_document(document: dict[str, Any]) -> BookCopy:
    return BookCopy(
        BookState(_date(document["increment_date"]), _states(document["positions"])),
        {key: date.fromisoformat(day) for key, day in document["applied"].items()},
        BookMarks(*document["marks"]),
        document["lineage"],
        document["whole"],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, PositionState):
        return to_list(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _revision(entry: Entry) -> int:
    return 0 if entry.body[1] is None else int(entry.body[1][1])


def _same(value: Any) -> Any:
    return value


def _date(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _states(value: dict[str, list[Any]]) -> dict[str, PositionState]:
    return {key: _state(values) for key, values in value.items()}


def _state(values: list[Any]) -> PositionState:
    code, days, highest, lowest, volume, opened_on, flag = values
    return PositionState(code, days, highest, lowest, volume, _date(opened_on), PositionFlag(flag))


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "increment_date": _date,
    "positions": _states,
    "price": Decimal,
    "prices": lambda value: {code: tuple(pair) for code, pair in value.items()},
    "timestamp": datetime.fromisoformat,
    "trade_date": _date,
}
