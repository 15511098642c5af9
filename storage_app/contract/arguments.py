"""What callers may pass, turned once into what stores work with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import MAX_BATCH_CODES, Money
from trades_app.market import clock, codes

PRICE_STEP = Decimal("0.001")
_STEPS_PER_YUAN = 1000
# Below it, a float tells steps of 0.001 apart with room to spare; above it, or NaN, look closer.
_LARGEST_FLOAT_PRICE = 1e9
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{6,50}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,50}")

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn the market package's plain ValueErrors into the contract's InvalidInput."""
    try:
        yield
    except ValueError as exc:
        raise InvalidInput(str(exc)) from exc


@lru_cache(maxsize=16384)
def parse_code(value: str) -> str:
    """Return `600000.SH` for any spelling; refuse a bare code that two markets share."""
    with _refusing():
        return codes.parse_code(value)


def parse_codes(values: Sequence[str]) -> list[str]:
    if isinstance(values, str):
        raise InvalidInput(f"expected a list of codes, not the text {values!r}")
    return [parse_code(value) for value in values]


def parse_batch(values: Sequence[str]) -> list[str]:
    if len(values) > MAX_BATCH_CODES:
        raise InvalidInput(f"{len(values)} codes asked for, at most {MAX_BATCH_CODES} a batch")
    return parse_codes(values)


@lru_cache(maxsize=4096)
def parse_account(value: str) -> str:
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise InvalidInput(
            f"account {value!r} must be 6 to 50 letters, digits, '-' or '_' (no namespace here)"
        )
    return value


@lru_cache(maxsize=4096)
def parse_book(value: str) -> str:
    """Return a book key: `account` or `account/namespace`."""
    if not isinstance(value, str):
        raise InvalidInput(f"book {value!r} must be text")
    account, slash, namespace = value.partition("/")
    parse_account(account)
    if slash and not _NAMESPACE.fullmatch(namespace):
        raise InvalidInput(f"namespace {namespace!r} may hold letters, digits, '-' and '_'")
    return value


def parse_price(value: Money) -> Decimal:
    """Return a positive price in yuan, rounded to 0.001."""
    price = parse_money(value)
    if price <= 0:
        raise InvalidInput(f"price {value!r} must be above 0")
    return price.quantize(PRICE_STEP, ROUND_HALF_UP)


def parse_money(value: Money) -> Decimal:
    if isinstance(value, bool):
        raise InvalidInput(f"{value!r} is not an amount")
    try:
        # A float is taken as people read it: 2.01 means 2.01, not its binary neighbour.
        amount = Decimal(str(value))
    except InvalidOperation as exc:
        raise InvalidInput(f"{value!r} is not a number") from exc
    if not amount.is_finite():
        raise InvalidInput(f"{value!r} is not a finite number")
    return amount


def parse_whole(value: Any, name: str, *, least: int = 0) -> int:
    """Return an int; 3.0 is accepted, 3.5, True and '3' are not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise InvalidInput(f"{name} {value!r} must be a whole number")
    if value < least:
        raise InvalidInput(f"{name} {value!r} must be at least {least}")
    return int(value)


def parse_held_days(value: int) -> int:
    return parse_whole(value, "held days")


def parse_trade_id(value: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput("a fill needs its trade_id, or a repeated callback would count twice")
    return value


def parse_volume(value: int) -> int:
    return parse_whole(value, "volume (shares)", least=1)


def parse_remaining(value: int) -> int:
    return parse_whole(value, "remaining volume (shares)")


def parse_rows(value: int) -> int:
    return parse_whole(value, "number of rows", least=1)


def parse_version(value: int) -> int:
    return parse_whole(value, "parameter version", least=1)


def parse_date(value: date | int | str) -> date:
    with _refusing():
        return clock.parse_date(value)


def parse_timestamp(value: datetime | float | str) -> datetime:
    with _refusing():
        return clock.parse_timestamp(value)


def parse_choice(choices: type[ChoiceT]) -> Callable[[str], ChoiceT]:
    """Return a parser that accepts the values of an enum and names them when it refuses."""

    def parse(value: str) -> ChoiceT:
        try:
            return choices(value)
        except ValueError as exc:
            known = ", ".join(choices)
            raise InvalidInput(f"{value!r} is not one of {known}") from exc

    return parse


def parse_tick(prices: Mapping[str, tuple[Money, Money]]) -> dict[str, tuple[float, float]]:
    """Return {code: (high, low)} on the 0.001 grid; a high below its low is refused.

    Floats stay floats here: a tick of a hundred codes comes every second.
    """
    ticks = {
        parse_code(code): (_tick_price(high), _tick_price(low))
        for code, (high, low) in prices.items()
    }
    for code, (high, low) in ticks.items():
        if high < low:
            raise InvalidInput(f"{code}: high {high} is below low {low}")
    return ticks


def _tick_price(value: Money) -> float:
    if type(value) is float and 0 < value < _LARGEST_FLOAT_PRICE:
        return round(value * _STEPS_PER_YUAN) / _STEPS_PER_YUAN  # a third of round(value, 3)
    return float(parse_price(value))
