"""A book of the platform in the shape of the JSON files that strategies know.

Reading makes the whole document. Writing takes a whole document and applies only what the
caller changed since it read, so that a document that is a moment old undoes nobody's work.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

from storage_app.contract.arguments import parse_code, parse_date, parse_held_days, parse_price
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import BookState, PositionFlag, PositionState, Side
from storage_app.silverquant import extras, legacy_state, registry
from storage_app.silverquant.registry import Binding, Form, Kind
from trades_app.market import clock

INCREMENT_DATE: Final = "_inc_date"
DAY_COUNT: Final = "day_count"

Document = dict[str, Any]
# What this thread saw last, by path: the base of what it writes next.
_seen = threading.local()


def read_book(binding: Binding) -> BookState:
    """Return the book; what a strategy left in files is taken over before the first use."""
    legacy_state.adopt(binding)
    return registry.store().read_book(binding.book)


def load(binding: Binding) -> Document:
    """Return the document of a file; only what a strategy would find there."""
    book = read_book(binding)
    if binding.kind is Kind.HELD:
        return held_document(binding, book)
    if binding.kind is Kind.DEALS:
        raise InvalidInput(f"{binding.path} holds orders, not JSON")
    _bases()[binding.path] = book
    return price_document(book, binding.kind)


def held_document(binding: Binding, book: BookState) -> Document:
    _bases()[binding.path] = book
    document: Document = {}
    if book.increment_date is not None:
        document[INCREMENT_DATE] = book.increment_date.isoformat()
    if binding.form is Form.FLAT:
        return document | _days_of(book)
    for code, state in book.positions.items():
        if _is_holding(state):
            document[code] = {DAY_COUNT: state.held_days}
    return extras.merged(binding, document)


def price_document(book: BookState, kind: Kind) -> dict[str, float]:
    positions = book.positions.items()
    if kind is Kind.HIGHEST:
        return {code: one.max_price for code, one in positions if one.max_price is not None}
    return {code: one.min_price for code, one in positions if one.min_price is not None}


def save(binding: Binding, document: Mapping[str, Any]) -> None:
    """Apply what the document changes against what this thread read last."""
    base = _bases().get(binding.path) or read_book(binding)
    if binding.kind is Kind.HELD:
        _save_held(binding, base, document)
    else:
        _save_prices(binding, base, document)
    _bases().pop(binding.path, None)


def forget(binding: Binding, codes: list[str]) -> None:
    """Take keys out of a file.

    A position whose fills are recorded goes when they say so: a sell of a part, which is all
    that a callback may have seen, takes neither its age nor its extremes. Prices of an open
    position belong to it and stay as long as it does.
    """
    store = registry.store()
    positions = read_book(binding).positions
    for code in codes:
        state = positions.get(code)
        if state is None or (binding.kind is not Kind.HELD and state.held_days is not None):
            continue
        if not state.volume:
            store.delete_held_days(code, binding.book)


def sold(binding: Binding, code: str) -> None:
    """Note that some of a position was sold, without being told how much.

    Where fills are recorded, they have moved it already. Where nobody records them the position
    stays, marked for a person, until the broker's list says that it is gone or a buy opens it
    anew.
    """
    state = read_book(binding).positions.get(code)
    if state is None or state.held_days is None or state.volume:
        return
    registry.store().apply_fill(
        binding.book, code, Side.SELL, 1, 1,
        trade_id=f"unknown volume {uuid.uuid4()}", timestamp=clock.now(),
    )  # fmt: skip


def bought(binding: Binding, codes: list[str]) -> None:
    """Open what is not open. A further buy keeps the age, one after a doubtful sell does not."""
    store = registry.store()
    positions = read_book(binding).positions
    for code in codes:
        state = positions.get(parse_code(code))
        doubtful = state is not None and state.flag is PositionFlag.UNCONFIRMED
        if doubtful and state is not None and state.volume is None:
            store.delete_held_days(code, binding.book)
    store.open_positions(binding.book, codes)


def _save_held(binding: Binding, seen: BookState, document: Mapping[str, Any]) -> None:
    base = _days_of(seen)
    done = _parse_day(document.get(INCREMENT_DATE))
    days = {parse_code(key): _parse_days(key, one) for key, one in _entries(document).items()}
    extras.keep(binding, _entries(document))
    if done != seen.increment_date:
        _replace(binding, base, days, done)
        return
    store = registry.store()
    for code in base.keys() - days.keys():
        store.delete_held_days(code, binding.book)
    for code, count in days.items():
        if code in base and base[code] == count:
            continue
        if count is None:
            sold(binding, code)
        elif count == 0 and code not in base:
            bought(binding, [code])
        else:
            store.update_held_days(code, count, binding.book)


def _replace(
    binding: Binding,
    base: Mapping[str, int | None],
    days: Mapping[str, int | None],
    done: date | None,
) -> None:
    """Write ages with the date of their increment, for a script that counts by itself."""
    positions = dict(read_book(binding).positions)
    for code in base.keys() - days.keys():
        positions.pop(code, None)
    for code, count in days.items():
        if count is not None and base.get(code) != count:
            known = positions.get(code) or PositionState(code)
            positions[code] = replace(known, held_days=count)
    registry.store().replace_positions(binding.book, positions, done)


def _save_prices(binding: Binding, seen: BookState, document: Mapping[str, Any]) -> None:
    base = price_document(seen, binding.kind)
    store = registry.store()
    is_highest = binding.kind is Kind.HIGHEST
    update = store.update_max_price if is_highest else store.update_min_price
    prices = {parse_code(key): float(parse_price(value)) for key, value in document.items()}
    for code, price in prices.items():
        if base.get(code) != price:
            update(code, price, binding.book)
    forget(binding, sorted(base.keys() - prices.keys()))


def _days_of(book: BookState) -> dict[str, int | None]:
    return {code: one.held_days for code, one in book.positions.items() if _is_holding(one)}


def _is_holding(state: PositionState) -> bool:
    return state.held_days is not None or state.flag is not PositionFlag.LEFTOVER


def _entries(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if key[:1] != "_"}


def _parse_days(key: str, value: Any) -> int | None:
    if isinstance(value, Mapping):
        if DAY_COUNT not in value:
            raise InvalidInput(f"{key}: there is no {DAY_COUNT} in {value!r}")
        value = value[DAY_COUNT]
    return None if value is None else parse_held_days(value)


def _parse_day(value: Any) -> date | None:
    return parse_date(value) if value else None


def _bases() -> dict[Any, BookState]:
    bases: dict[Any, BookState] | None = getattr(_seen, "bases", None)
    if bases is None:
        bases = _seen.bases = {}
    return bases
