"""A fill moves the position, the ledger and the capital together, whatever dies in between.

One journal entry carries all three, and a fill is acknowledged when that entry is on the disk.
Then each role is given its part; each knows a part that it had already, so the work may be done
again. Whoever records the next fill, opens a store on the directory or does the owed work of the
host finishes what a dead process left, oldest first. One at a time on a host: a lock keeps the
fills in the order of their entries, since a sell must not overtake its buy.

In hybrid mode the entry is one of the host's journal and the parts need no server. In file mode
a journal of its own stands in `DATA_DIR/fills`; a reader may see the ledger of a fill a moment
before its position, never one without the other for good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from storage_app.contract import arguments as parse
from storage_app.contract import rules
from storage_app.contract.errors import Conflict, Corrupt, NotFound, Unavailable
from storage_app.contract.identity import new_trade
from storage_app.contract.roles import AccountBook, PositionStore, TradeLedger
from storage_app.contract.types import (
    FillOutcome,
    Money,
    OrderType,
    PositionState,
    Side,
    Trade,
    WriteCount,
)
from storage_app.stores import trade_entries, trade_rows
from storage_app.stores.file.documents import locked
from storage_app.stores.journal import PRIMARY, Entry, Journal, Marks, with_marks
from storage_app.stores.journal_segments import Place
from storage_app.stores.outbox import Outbox
from trades_app.market import clock

logger = logging.getLogger(__name__)

KIND: Final = "fills"
# The files of each role belong to its own entry, so this one owes them nothing.
_MARKS: Final[Marks] = (False, True)
_ORDER_TYPES: Final = {Side.BUY: OrderType.BUY_TRADE, Side.SELL: OrderType.SELL_TRADE}
# What makes a repeated callback the same fill; name and remark may have been learnt since.
_SAME: Final = ("traded_at", "price", "volume")


@dataclass(frozen=True, slots=True)
class Fill:
    """`remaining` is the broker's word on the shares left, `capital` on the account after it."""

    book: str
    trade: Trade
    recorded_at: datetime
    remaining: int | None = None
    capital: rules.Capital | None = None

    @property
    def side(self) -> Side:
        return Side.BUY if self.trade.order_type is OrderType.BUY_TRADE else Side.SELL

    @property
    def signed_amount(self) -> Decimal:
        return self.trade.amount if self.side is Side.BUY else -self.trade.amount


def new_fill(
    account_id: str,
    timestamp: datetime | float | str,
    code: str,
    name: str,
    side: str,
    price: Money,
    volume: int,
    strategy_name: str = "",
    *,
    trade_id: str,
    order_id: str = "",
    remark: str = "",
    remaining: int | None = None,
    capital: rules.Capital | None = None,
) -> Fill:
    """Return the checked fill; InvalidInput names what no store accepts."""
    book = parse.parse_book(account_id)
    trade = new_trade(
        account_id=book.partition("/")[0],
        timestamp=timestamp,
        code=parse.parse_code(code),
        name=name,
        order_type=_ORDER_TYPES[parse.parse_choice(Side)(side)],
        remark=remark,
        price=price,
        volume=volume,
        strategy_name=strategy_name,
        order_id=order_id,
        trade_id=parse.parse_trade_id(trade_id),
    )
    left = None if remaining is None else parse.parse_remaining(remaining)
    return Fill(book, trade_rows.normalised(trade), clock.now(), left, capital)


class Source(Protocol):
    """Where the entries stand."""

    @property
    def directory(self) -> Path: ...

    def append(self, body: list[Any]) -> Entry: ...

    def owed(self) -> list[Entry]: ...

    def mark(self, entries: Iterable[Entry]) -> None: ...


class OutboxSource:
    """The journal that all roles of hybrid mode share."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.directory = outbox.journal.directory

    def append(self, body: list[Any]) -> Entry:
        return self._outbox.append(KIND, body, marks=_MARKS)

    def owed(self) -> list[Entry]:
        return self._outbox.owed(KIND, PRIMARY)

    def mark(self, entries: Iterable[Entry]) -> None:
        self._outbox.journal.mark(entries, PRIMARY)


class JournalSource:
    """A journal for fills alone; nothing runs in the background."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journal = Journal(directory)
        self._tail = self._journal.tail()
        self._owed: dict[Place, Entry] = {}
        if directory.is_dir():
            self._journal.sweep()

    def append(self, body: list[Any]) -> Entry:
        entry = self._journal.append(KIND, body, marks=_MARKS)
        self._owed[entry.place] = entry
        return entry

    def owed(self) -> list[Entry]:
        if not self.directory.is_dir():
            return []
        entries, _ = self._tail.read()
        fresh = with_marks([*self._owed.values(), *entries])
        self._owed = {entry.place: entry for entry in fresh if not all(entry.marks)}
        return list(self._owed.values())

    def mark(self, entries: Iterable[Entry]) -> None:
        self._journal.mark(entries, PRIMARY)

    def close(self) -> None:
        self._journal.close()


class KnowsTrades(Protocol):
    def write_trades(self, trades: Sequence[Trade]) -> WriteCount: ...

    def find_trade(self, trade: Trade) -> Trade | None:
        """Return what stands there under the uid of a recent trade."""
        ...


class TakesCapital(Protocol):
    def get_account(self, account_id: str) -> dict[str, Any] | None: ...

    def record_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
        at: datetime,
    ) -> None:
        """Take the capital of a moment; what is newer stands."""
        ...


class FillLog:
    """Records fills in the order of their entries, over the three roles that they move."""

    def __init__(
        self, source: Source, backends: Mapping[type, Any], outbox: Outbox | None = None
    ) -> None:
        self._source = source
        self._positions: PositionStore = backends[PositionStore]
        self._trades: KnowsTrades = backends[TradeLedger]
        self._accounts: TakesCapital = backends[AccountBook]
        self._outbox = outbox
        if outbox is not None:
            outbox.register(KIND, PRIMARY, self._do_owed)

    def record(self, fill: Fill) -> FillOutcome:
        """Return when the fill is safe; Conflict if its trade id stands for another fill."""
        with self._one_at_a_time():
            is_current = self._finish(fill.book)
            stored = self._find(fill)
            if stored is not None:
                _refuse_difference(stored, fill.trade)
                position = self._position(fill) if is_current else None
                return FillOutcome(stored.trade_uid, position, False, is_current)
            entry = self._source.append(to_body(self._with_capital(fill)))
            position, is_applied = self._try(entry) if is_current else (None, False)
        return FillOutcome(fill.trade.trade_uid, position, True, is_applied)

    def finish(self) -> bool:
        """Do what dead processes left; False if something still has to wait for a server."""
        if not self._source.owed():
            return True
        with self._one_at_a_time():
            books = dict.fromkeys(entry.body[0] for entry in self._source.owed())
            return [book for book in books if not self._finish(book)] == []

    def close(self) -> None:
        if isinstance(self._source, JournalSource):
            self._source.close()

    def _one_at_a_time(self) -> AbstractContextManager[None]:
        return locked(self._source.directory / "recording")

    def _finish(self, book: str) -> bool:
        """Apply the older fills of a book; the lock is held."""
        for entry in self._source.owed():
            if entry.body[0] == book and not self._try(entry)[1]:
                return False
        return True

    def _find(self, fill: Fill) -> Trade | None:
        for entry in self._source.owed():
            trade = to_fill(entry.body).trade
            if trade.trade_uid == fill.trade.trade_uid:
                return trade
        return self._trades.find_trade(fill.trade)

    def _position(self, fill: Fill) -> PositionState | None:
        return self._positions.read_book(fill.book).positions.get(fill.trade.code)

    def _with_capital(self, fill: Fill) -> Fill:
        """Add what the account is after the fill, unless the broker said so or nobody knows.

        Fees are left to the next figures of the broker: it counts them once per order.
        """
        try:
            account = self._accounts.get_account(fill.trade.account_id)
        except Unavailable as exc:
            logger.warning("A fill of %s leaves capital alone: %s", fill.trade.account_id, exc)
            return fill
        if account is None:
            return replace(fill, capital=None)
        if fill.capital is not None or account["current_capital"] is None:
            return fill
        # It stands on the fills before this one, so it is newer than theirs.
        moment = max(fill.recorded_at, clock.now())
        return replace(fill, capital=_moved(account, fill.signed_amount), recorded_at=moment)

    def _do_owed(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Do the owed work of the host, where somebody else may have done it by now."""
        del entries
        with self._one_at_a_time():
            waiting: set[str] = set()
            for entry in self._source.owed():
                if entry.body[0] not in waiting and not self._try(entry)[1]:
                    waiting.add(entry.body[0])
        if waiting:
            raise Unavailable(KIND, f"fills of {', '.join(sorted(waiting))} wait")
        yield []

    def _try(self, entry: Entry) -> tuple[PositionState | None, bool]:
        """Give each role its part; what cannot be done now stays owed."""
        try:
            position = self._apply(to_fill(entry.body))
        except (Unavailable, Corrupt) as exc:
            # A person repairs what is damaged; until then fills are kept all the same.
            level = logging.WARNING if isinstance(exc, Unavailable) else logging.ERROR
            logger.log(level, "A fill of book %s is safe and waits: %s", entry.body[0], exc)
            return None, False
        self._source.mark([entry])
        return position, True

    def _apply(self, fill: Fill) -> PositionState | None:
        trade = fill.trade
        position = self._positions.apply_fill(
            fill.book,
            trade.code,
            fill.side,
            trade.volume,
            trade.price,
            trade_id=trade.trade_id,
            timestamp=trade.traded_at,
            remaining=fill.remaining,
        )
        try:
            self._trades.write_trades([trade])
        except Conflict as exc:
            self._leave_to_person(trade, exc)
        if fill.capital is not None:
            self._set_capital(fill, fill.capital)
        return position

    def _set_capital(self, fill: Fill, capital: rules.Capital) -> None:
        cash, value = capital.current_capital or 0, capital.position_value or 0
        try:
            self._accounts.record_capital(
                fill.trade.account_id, cash, capital.total_assets, value, fill.recorded_at
            )
        except NotFound as exc:
            logger.warning("A fill leaves capital alone: %s", exc)

    def _leave_to_person(self, trade: Trade, exc: Conflict) -> None:
        """Another process recorded something else under this id in the same moment."""
        logger.error("Fill %s contradicts the ledger: %s", trade.trade_uid, exc)
        if self._outbox is not None:
            body = [trade_entries.to_body(trade), str(exc)]
            self._outbox.append(trade_entries.CONFLICT, body, marks=_MARKS)


def to_body(fill: Fill) -> list[Any]:
    capital = fill.capital
    figures = capital and [
        str(capital.current_capital), str(capital.total_assets), str(capital.position_value)
    ]  # fmt: skip
    at = fill.recorded_at.isoformat()
    return [fill.book, trade_entries.to_body(fill.trade), fill.remaining, figures, at]


def to_fill(body: list[Any]) -> Fill:
    book, trade, remaining, figures, at = body
    capital = None if figures is None else rules.parse_totals(*figures)
    moment = clock.in_shanghai(datetime.fromisoformat(at))
    return Fill(book, trade_entries.to_trade(trade), moment, remaining, capital)


def _moved(account: dict[str, Any], amount: Decimal) -> rules.Capital | None:
    """Return cash less and positions more by an amount; None where the figures cannot be."""
    cash = Decimal(str(account["current_capital"])) - amount
    value = Decimal(str(account["position_value"] or 0)) + amount
    if cash < 0:
        return None
    return rules.parse_totals(cash, cash + max(value, Decimal(0)), max(value, Decimal(0)))


def _refuse_difference(stored: Trade, now: Trade) -> None:
    for name in _SAME:
        before, after = getattr(stored, name), getattr(now, name)
        if before != after:
            raise Conflict(
                f"fill {now.trade_id} of {now.code} is already recorded with {name} {before!s}, "
                f"not {after!s}"
            )
