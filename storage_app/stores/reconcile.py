"""What becomes of a book that a host has changed during an outage, and others meanwhile.

The server's copy stays, and the changes of the host are done on top of it: a fill unless it is
among the applied ones, an increment unless its day was counted, extremes by maximum and minimum.
What sets an age or a volume does so where nobody else has changed it. Otherwise that code stops:
it stays as the server has it, and a person decides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from storage_app.contract.arguments import parse_timestamp
from storage_app.contract.positions import (
    after_fill,
    aged,
    fill_identity,
    from_ticks,
    increment_identity,
    kept_since,
    opened,
    to_ticks,
    widened,
    with_extreme,
    with_held_days,
)
from storage_app.contract.types import BookCopy, BookState, Money, PositionState
from trades_app.market import clock

logger = logging.getLogger(__name__)

_INCREMENT: Final = "increment|"
AGE: Final = "held_days"
VOLUME: Final = "volume"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that the host has acknowledged; `was_there` if the server had it once."""

    method: str
    arguments: Mapping[str, Any]
    was_there: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """`stopped` has the codes that a person has to decide, each with what differs."""

    state: BookState
    applied: Mapping[str, date]
    stopped: Mapping[str, str] = field(default_factory=dict)


def merge(base: BookCopy, ours: BookCopy, theirs: BookCopy, changes: Iterable[Change]) -> Merged:
    """Return the server's copy with the host's changes, which led from `base` to `ours`.

    Doing it again with what came out changes nothing.
    """
    merger = _Merger(base, ours, theirs)
    for change in changes:
        merger.do(change)
    merger.catch_up()
    state = BookState(merger.increment_date, merger.positions)
    return Merged(state, merger.applied, merger.stopped)


class _Merger:
    """The methods are those of a PositionStore, for one book."""

    def __init__(self, base: BookCopy, ours: BookCopy, theirs: BookCopy) -> None:
        self.ours = ours.state.positions
        self.theirs = theirs.state.positions
        self.positions = dict(self.theirs)
        self.applied = dict(theirs.applied)
        self.increment_date = theirs.state.increment_date
        self.stopped: dict[str, str] = {}
        self._foreign = theirs.applied.keys() - base.applied.keys()
        self._foreign_days = sorted(_increment_days(base, theirs))
        self._counted = _increment_days(BookCopy(BookState()), theirs)
        # What the server would have if others had done nothing but to count days.
        self._expected = {
            code: _aged(state, self._foreign_days) for code, state in base.state.positions.items()
        }
        # What the host has set, with the last day that it had counted then.
        self._set: dict[tuple[str, str], date | None] = {}
        self._own_days: set[date] = set()
        self._uncounted: list[date] = []
        self._host_day = base.state.increment_date
        self._was_there = False

    def do(self, change: Change) -> None:
        self._was_there = change.was_there
        getattr(self, change.method)(**change.arguments)

    def catch_up(self) -> None:
        """Age what the host has set by the days that others have counted since."""
        for (code, name), day in self._set.items():
            if name == AGE and code in self.positions.keys() - self.stopped.keys():
                missed = [one for one in self._foreign_days if one not in self._own_days]
                later = [one for one in missed if day is None or one > day]
                self.positions[code] = _aged(self.positions[code], later)

    def apply_fill(
        self,
        code: str,
        side: str,
        volume: int,
        price: Money,
        trade_id: str,
        timestamp: datetime | float | str,
        remaining: int | None = None,
    ) -> None:
        day = parse_timestamp(timestamp).date()
        identity = fill_identity(code, side, trade_id, day)
        if identity in self.applied:
            return
        if self._was_there and day < kept_since(clock.today()):
            # Its identity is kept no longer, so the server may have it all the same.
            logger.error(
                "fill %s of %s on %s may be missing after the loss: %s %s, compare with the broker",
                *(trade_id, code, day, side, volume),
            )
            return
        self.applied[identity] = clock.today()
        if not self._may_fill(code, remaining):
            self._stop(code, VOLUME)
        if code in self.stopped:
            return
        before = self.positions.get(code)
        after = after_fill(code, before, side, volume, remaining, day)
        self._put(code, after)
        if remaining is not None:
            self._own(code, VOLUME)
        if not _is_open(before) and _is_open(after):
            self._own(code, AGE)

    def increment_held_days(self, trade_date: date) -> None:
        if trade_date in self._own_days or self._is_past(trade_date):
            return
        self._own_days.add(trade_date)
        is_counted = self._is_counted(trade_date)
        if not is_counted:
            self._uncounted.append(trade_date)
        for code, state in self.positions.items():
            is_own = (code, AGE) in self._set and code not in self.stopped
            if is_own or not is_counted:
                self.positions[code] = aged(state, trade_date)
        self.applied.setdefault(increment_identity(trade_date), clock.today())
        self._host_day = _latest(self._host_day, trade_date)
        self.increment_date = _latest(self.increment_date, trade_date)

    def update_held_days(self, code: str, days: int) -> None:
        if self._may_set(code, AGE, days):
            self._put(code, with_held_days(code, self.positions.get(code), days))
            self._own(code, AGE)

    def delete_held_days(self, code: str) -> None:
        if code not in self.theirs or (self._may_set(code, AGE) and self._may_set(code, VOLUME)):
            self._put(code, None)
            self._own(code, AGE, VOLUME)

    def update_max_price(self, code: str, price: Money) -> None:
        self._set_extreme(code, "max_price", _yuan(price), max)

    def update_min_price(self, code: str, price: Money) -> None:
        self._set_extreme(code, "min_price", _yuan(price), min)

    def raise_extremes(self, prices: Mapping[str, tuple[Money, Money]]) -> None:
        for code in prices.keys() & self.positions.keys() - self.stopped.keys():
            high, low = prices[code]
            self.positions[code] = widened(self.positions[code], _yuan(high), _yuan(low))

    def open_positions(self, codes: Sequence[str]) -> None:
        for code in codes:
            before = self.positions.get(code)
            if code not in self.stopped and not _is_open(before):
                self._put(code, opened(code, before))
                self._own(code, AGE)

    def replace_positions(
        self, positions: Mapping[str, PositionState], increment_date: date | None = None
    ) -> None:
        self._host_day = increment_date
        self.increment_date = max(
            (*self._foreign_days, *filter(None, [increment_date])), default=None
        )
        for code in {*self.positions, *self.theirs, *positions}:
            if self._may_replace(code, positions.get(code)):
                self._put(code, positions.get(code))
                self._own(code, AGE, VOLUME)

    def claim(self, host: str) -> None:
        """Nothing: a lease moves on the server only."""

    def _may_fill(self, code: str, remaining: int | None) -> bool:
        if self._was_there:
            return True
        if remaining is None:
            # Fills of others add up with ours; a volume that was set may contain ours already.
            return self._is_free(code, VOLUME) or self._has_foreign_fills(code)
        if remaining == 0 and code not in self.theirs:
            return True
        return self._is_free(code, VOLUME, remaining)

    def _may_set(self, code: str, name: str, wanted: object = None) -> bool:
        if code not in self.stopped and not self._is_free(code, name, wanted):
            self._stop(code, name)
        return code not in self.stopped

    def _may_replace(self, code: str, wanted: PositionState | None) -> bool:
        if code in self.stopped or self.theirs.get(code) == wanted:
            return code not in self.stopped
        if self._is_untouched(code) or ((code, AGE) in self._set and (code, VOLUME) in self._set):
            return True
        return self._may_set(code, AGE, _value(wanted, AGE)) and self._may_set(
            code, VOLUME, _value(wanted, VOLUME)
        )

    def _is_untouched(self, code: str) -> bool:
        return self.theirs.get(code) == self._expected.get(code)

    def _is_free(self, code: str, name: str, wanted: object = None) -> bool:
        """Tell whether others have left a value alone, or made it what the host wants."""
        if (code, name) in self._set:
            return True
        theirs = _value(self.theirs.get(code), name)
        if wanted is not None and theirs == wanted:
            return True
        # What the server had and lost may have been decided otherwise since.
        return not self._was_there and theirs in (
            _value(self._expected.get(code), name),
            _value(self.ours.get(code), name),
        )

    def _has_foreign_fills(self, code: str) -> bool:
        return any(identity.split("|")[1] == code for identity in self._foreign)

    def _set_extreme(self, code: str, name: str, price: float, widest: Any) -> None:
        if code in self.stopped:
            return
        state = self.positions.get(code)
        known = _value(state, name)
        if known is not None and not self._is_free(code, name, price):
            price = widest(known, price)
        self._put(code, with_extreme(code, state, **{name: price}))
        self._own(code, name)

    def _is_counted(self, day: date) -> bool:
        done = self.increment_date
        if day in self._counted:
            return True
        # Too old to be among the days that are kept one by one.
        return done is not None and day < min(done, kept_since(clock.today()))

    def _is_past(self, day: date) -> bool:
        """Tell whether the day changed nothing on the host either."""
        if self._was_there:
            return day in self._counted or day < kept_since(clock.today())
        return self._host_day is not None and self._host_day >= day

    def _own(self, code: str, *names: str) -> None:
        self._set |= {(code, name): self._host_day for name in names}

    def _put(self, code: str, state: PositionState | None) -> None:
        if state is None:
            self.positions.pop(code, None)
        else:
            self.positions[code] = replace(state, code=code)

    def _stop(self, code: str, name: str) -> None:
        self.stopped.setdefault(code, name)
        state = self.theirs.get(code)
        # A day counts for it all the same.
        self._put(code, state and _aged(state, self._uncounted))


def _increment_days(base: BookCopy, theirs: BookCopy) -> set[date]:
    """Return the days that the server has counted since `base`."""
    new = theirs.applied.keys() - base.applied.keys()
    days = {date.fromisoformat(one.removeprefix(_INCREMENT)) for one in new if _is_increment(one)}
    done, before = theirs.state.increment_date, base.state.increment_date
    if done is not None and done != before and (before is None or done > before):
        days.add(done)
    return days


def _is_increment(identity: str) -> bool:
    return identity.startswith(_INCREMENT)


def _aged(state: PositionState, days: Iterable[date]) -> PositionState:
    for day in days:
        state = aged(state, day)
    return state


def _latest(one: date | None, other: date) -> date:
    return other if one is None else max(one, other)


def _value(state: PositionState | None, name: str) -> Any:
    return None if state is None else getattr(state, name)


def _is_open(state: PositionState | None) -> bool:
    return state is not None and state.held_days is not None


def _yuan(price: Money) -> float:
    return from_ticks(to_ticks(price))
