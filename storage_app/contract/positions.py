"""How a position moves: the transitions that every backend performs alike.

The Redis store performs the same ones in `stores/positions.lua`; a test drives both with
random operations and compares the books.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache

from storage_app.contract.types import (
    OPEN_POSITIONS_WARNING,
    BookState,
    Money,
    PositionFlag,
    PositionState,
    Side,
)
from trades_app.market import calendar

logger = logging.getLogger(__name__)

TICKS_PER_YUAN = 1000
_TICKS = Decimal(TICKS_PER_YUAN)
KEPT_TRADING_DAYS = 7


def after_fill(
    code: str,
    state: PositionState | None,
    side: str,
    volume: int,
    remaining: int | None,
    trade_date: date,
) -> PositionState | None:
    """Return the position after a fill, None when it is closed."""
    if remaining == 0:
        return None
    held = state or PositionState(code, volume=0)
    if held.flag is PositionFlag.LEFTOVER:
        held = replace(held, volume=0)
    if side == Side.BUY and held.held_days is None:
        held = replace(opened(code, held), volume=held.volume or 0, opened_on=trade_date)
    if remaining is not None:
        return _confirmed(held, remaining)
    return _bought(held, volume) if side == Side.BUY else _sold(held, volume)


def _confirmed(held: PositionState, remaining: int) -> PositionState:
    # The broker settles the volume; shares of unknown age still need a person.
    settled = held.held_days is not None
    flag = PositionFlag.CLEAR if settled else PositionFlag.UNCONFIRMED
    return replace(held, volume=remaining, flag=flag)


def _bought(held: PositionState, volume: int) -> PositionState:
    return held if held.volume is None else replace(held, volume=held.volume + volume)


def _sold(held: PositionState, volume: int) -> PositionState | None:
    if held.volume is None:
        return replace(held, flag=PositionFlag.UNCONFIRMED)
    if held.volume < volume:
        return replace(held, volume=0, flag=PositionFlag.OVERSOLD)
    return replace(held, volume=held.volume - volume) if held.volume > volume else None


def opened(code: str, state: PositionState | None) -> PositionState:
    """Return a position at day 0, its extremes unset: they count from day 1.

    Volume and opening date stay unknown; what a person has to look at stays flagged.
    """
    if state is None or state.flag is PositionFlag.LEFTOVER:
        return PositionState(code, 0)
    return PositionState(code, 0, volume=state.volume or None, flag=state.flag)


def aged(state: PositionState, trade_date: date) -> PositionState:
    """Return the position a trading day older; its opening day is day 0, however late it runs."""
    if state.held_days is None or (state.opened_on and state.opened_on >= trade_date):
        return state
    return replace(state, held_days=state.held_days + 1)


def with_held_days(code: str, state: PositionState | None, days: int) -> PositionState:
    """Return the position at an age; one that was not open opens, keeping its extremes."""
    if state is None:
        return PositionState(code, days)
    if state.held_days is not None:
        return replace(state, held_days=days)
    return PositionState(code, days, state.max_price, state.min_price)


def with_extreme(
    code: str,
    state: PositionState | None,
    *,
    max_price: float | None = None,
    min_price: float | None = None,
) -> PositionState:
    """Return the position with a price set; without a position the price is a leftover."""
    held = state or PositionState(code, flag=PositionFlag.LEFTOVER)
    return replace(
        held,
        max_price=held.max_price if max_price is None else max_price,
        min_price=held.min_price if min_price is None else min_price,
    )


def widened(state: PositionState, high: float, low: float) -> PositionState:
    """Return the position with its extremes widened by a tick; a closed one stays as it is."""
    if state.held_days is None:
        return state
    highest = high if state.max_price is None else max(state.max_price, high)
    lowest = low if state.min_price is None else min(state.min_price, low)
    if (highest, lowest) == (state.max_price, state.min_price):
        return state
    return replace(state, max_price=highest, min_price=lowest)


def incremented(book: BookState, trade_date: date) -> BookState | None:
    """Return the book a trading day older; None when that date or a later one is done."""
    if book.increment_date is not None and book.increment_date >= trade_date:
        return None
    return BookState(
        trade_date, {code: aged(state, trade_date) for code, state in book.positions.items()}
    )


def fill_identity(code: str, side: str, trade_id: str, trade_date: date) -> str:
    """Return what makes a fill the same one: exchanges number theirs by day and market."""
    return f"{trade_date}|{code}|{side}|{trade_id}"


def increment_identity(trade_date: date) -> str:
    """Return what notes the increment of a day among the applied fills."""
    return f"increment|{trade_date}"


@lru_cache(maxsize=8)
def kept_since(today: date) -> date:
    """Return the first day whose applied trade ids are still kept on `today`."""
    day = today
    try:
        for _ in range(KEPT_TRADING_DAYS):
            day = calendar.previous_trading_day(day)
    except ValueError as exc:
        # A fill is worth more than the tidiness of the list of ids.
        logger.error("Applied trade ids are all kept: %s", exc)  # noqa: TRY400
        return date.min
    return day


def to_ticks(price: Money) -> int:
    """Return a price in steps of 0.001 yuan."""
    if isinstance(price, Decimal):
        return int(price * _TICKS)  # a checked price has no more than three decimals
    if isinstance(price, float):
        return round(price * TICKS_PER_YUAN)  # not by way of text: a tick brings 200 of them
    return round(Decimal(str(price)) * _TICKS)


def from_ticks(ticks: int) -> float:
    return ticks / TICKS_PER_YUAN


def count_open(positions: Mapping[str, PositionState]) -> int:
    return sum(state.held_days is not None for state in positions.values())


class CrowdWatch:
    """Warn of a book that holds too many positions, once until it holds fewer again."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def note(self, book: str, open_count: int) -> None:
        if open_count <= OPEN_POSITIONS_WARNING:
            self._warned.discard(book)
        elif book not in self._warned:
            self._warned.add(book)
            logger.warning(
                "Book %s holds %d open positions, more than %d",
                book,
                open_count,
                OPEN_POSITIONS_WARNING,
            )
