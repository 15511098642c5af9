"""Positions of hybrid mode: Redis and the journal in the same call, the files behind them.

While Redis is well, a change runs there and the journal notes it with the revision it led to;
the background copies changed books into the files. When Redis is down, or has lost a book, every
process of the host reads and changes the files, one change at a time, noting each in the journal.
When Redis is back, the books are brought there, and until then nobody reads it: `book_sync.py`.

Each book has a lease, which names the host that may change it while Redis is down; other hosts
read their files then, and are refused to write. It never expires. The first change of a book that
nobody holds takes it, and it moves only by `claim()`, which Redis has to answer. Stores that are
told not to claim, as those of the jobs and the admin are, never take one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from storage_app.contract.errors import Unavailable
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookState, Money, PositionState
from storage_app.stores import position_entries
from storage_app.stores.book_sync import KIND, BookSync, LostElsewhere
from storage_app.stores.fallback import Mirrored, Switches
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.journal import MIRROR
from storage_app.stores.outbox import Outbox
from storage_app.stores.redis import Answer, RedisPositions


class MirroredPositions(Mirrored[RedisPositions, FilePositions], PositionStore):
    """See `mirror.py` for what the two switches do."""

    def __init__(
        self, primary: RedisPositions, mirror: FilePositions, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        self.sync = BookSync(primary, mirror, outbox, self.breaker, keeps_files=switches.dual_write)

    def get_held_days(self, code: str, account_id: str) -> int | None:
        found: int | None = self._read("get_held_days", account_id, code, account_id)
        return found

    def get_max_price(self, code: str, account_id: str) -> float | None:
        found: float | None = self._read("get_max_price", account_id, code, account_id)
        return found

    def get_min_price(self, code: str, account_id: str) -> float | None:
        found: float | None = self._read("get_min_price", account_id, code, account_id)
        return found

    def read_book(self, account_id: str) -> BookState:
        book: BookState = self._read("read_book", account_id, account_id)
        return book

    def list_books(self) -> list[str]:
        books: list[str] = self._read("list_books", "")
        return books

    def update_held_days(self, code: str, days: int, account_id: str) -> None:
        self._write("update_held_days", account_id, code=code, days=days)

    def delete_held_days(self, code: str, account_id: str) -> None:
        self._write("delete_held_days", account_id, code=code)

    def increment_held_days(self, account_id: str, trade_date: date) -> bool:
        return bool(self._write("increment_held_days", account_id, trade_date=trade_date))

    def update_max_price(self, code: str, price: Money, account_id: str) -> None:
        self._write("update_max_price", account_id, code=code, price=price)

    def update_min_price(self, code: str, price: Money, account_id: str) -> None:
        self._write("update_min_price", account_id, code=code, price=price)

    def raise_extremes(self, account_id: str, prices: Mapping[str, tuple[Money, Money]]) -> None:
        self._write("raise_extremes", account_id, prices=prices)

    def open_positions(self, account_id: str, codes: Sequence[str]) -> list[str]:
        return list(self._write("open_positions", account_id, codes=codes))

    def replace_positions(
        self,
        account_id: str,
        positions: Mapping[str, PositionState],
        increment_date: date | None = None,
    ) -> None:
        self._write(
            "replace_positions", account_id, positions=positions, increment_date=increment_date
        )

    def apply_fill(
        self,
        account_id: str,
        code: str,
        side: str,
        volume: int,
        price: Money,
        *,
        trade_id: str,
        timestamp: datetime | float | str,
        remaining: int | None = None,
    ) -> PositionState | None:
        state: PositionState | None = self._write(
            "apply_fill",
            account_id,
            code=code,
            side=side,
            volume=volume,
            price=price,
            trade_id=trade_id,
            timestamp=timestamp,
            remaining=remaining,
        )
        return state

    def _read(self, name: str, book: str, *args: Any) -> Any:
        if not self.sync.is_on_files():
            try:
                return self._read_primary(getattr(self.primary, name), book, *args)
            except Unavailable as exc:
                self._fall_back(exc)
        if not self.switches.may_fall_back:
            raise Unavailable(self.component, "it is down or has lost a book")
        return getattr(self.mirror, name)(*args)

    def _read_primary(self, method: Callable[..., Any], book: str, *args: Any) -> Any:
        while True:
            found = self.breaker.call(method, *args)
            if self.sync.believe(book, self.primary.seen.get(book)):
                return found

    def _write(self, name: str, book: str, **arguments: Any) -> Any:
        while not self.sync.is_on_files():
            try:
                return self._write_primary(name, book, arguments)
            except LostElsewhere:
                raise
            except Unavailable as exc:
                self._fall_back(exc)
        if not self.switches.may_fall_back:
            raise Unavailable(self.component, "it is down or has lost a book")
        with self.sync.host_lock():
            if self.sync.is_on_files():
                return self._write_files(name, book, arguments)
        return self._write(name, book, **arguments)

    def _write_primary(self, name: str, book: str, arguments: dict[str, Any]) -> Any:
        if self.switches.may_claim:
            self.primary.claimant = self.sync.host
        result = self.breaker.call(getattr(self.primary, name), account_id=book, **arguments)
        answer = self.primary.answered
        known = self.sync.known_marks(book)
        is_current = self.sync.believe(book, answer.marks)
        if not is_current and self.sync.known_marks(book).generation != answer.marks.generation:
            # It was done on what Redis had lost, and the book was rebuilt without it since.
            return self._write_primary(name, book, arguments)
        is_news = name != "raise_extremes" and answer.marks.revision > known.revision
        # What was done already may have been done by a program that died before it noted it.
        if answer.is_change or is_news:
            self._note(name, book, arguments, answer)
        return result

    def _note(self, name: str, book: str, arguments: dict[str, Any], answer: Answer) -> None:
        body = position_entries.to_body(
            book, answer.marks, name, arguments, is_change=answer.is_change
        )
        # Extremes only grow and come every second: the files have them soon.
        is_tick = name == "raise_extremes"
        done = (True, not self.switches.dual_write)
        self.outbox.append(KIND, body, marks=done, sync=not is_tick)
        self.sync.note_done()

    def _write_files(self, name: str, book: str, arguments: dict[str, Any]) -> Any:
        self.sync.check_lease(book, may_begin=self.switches.claims)
        self.sync.settlement.keep_base(book, self.sync.outage())
        body = position_entries.to_body(book, None, name, arguments)
        entry = self.outbox.append(KIND, body)
        result = getattr(self.mirror, name)(account_id=book, **arguments)
        self.outbox.journal.mark([entry], MIRROR)
        return result

    def _fall_back(self, reason: Unavailable) -> None:
        if not self.switches.may_fall_back:
            raise reason
        if isinstance(reason, LostElsewhere):
            # The other books are well.
            self.sync.answer_from_files()
        else:
            self.sync.go_to_files(reason)
