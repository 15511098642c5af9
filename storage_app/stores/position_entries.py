"""Changes of positions as entries of the journal: the method and its checked arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from storage_app.contract.types import PositionFlag, PositionState

KIND: Final = "positions"


def to_body(
    book: str, marks: tuple[str, int] | None, method: str, arguments: Mapping[str, Any]
) -> list[Any]:
    """Return an entry; `marks` are the generation and revision that the change led to in Redis,
    None for a change that Redis does not have yet."""
    plain = {name: _plain(value) for name, value in arguments.items()}
    return [book, marks, method, plain]


def arguments_of(body: list[Any]) -> dict[str, Any]:
    return {name: _READERS.get(name, _same)(value) for name, value in body[3].items()}


def _plain(value: Any) -> Any:
    if isinstance(value, PositionState):
        opened_on = value.opened_on and value.opened_on.isoformat()
        prices = (value.max_price, value.min_price)
        return [value.code, value.held_days, *prices, value.volume, opened_on, value.flag.value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _same(value: Any) -> Any:
    return value


def _date(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _states(value: dict[str, list[Any]]) -> dict[str, PositionState]:
    states = {}
    for key, (code, days, highest, lowest, volume, opened_on, flag) in value.items():
        states[key] = PositionState(
            code, days, highest, lowest, volume, _date(opened_on), PositionFlag(flag)
        )
    return states


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "increment_date": _date,
    "positions": _states,
    "price": Decimal,
    "prices": lambda value: {code: tuple(pair) for code, pair in value.items()},
    "timestamp": datetime.fromisoformat,
    "trade_date": _date,
}
