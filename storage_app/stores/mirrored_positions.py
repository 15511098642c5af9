"""Positions of hybrid mode: Redis and the journal in the same call, the files behind them.

While Redis is well, a change runs there and the journal notes it with the revision it led to;
the background copies changed books into the files. When Redis is down, or has lost a book, the
host goes to the files: they are brought up to the last entry of the journal, and from then on
every process of the host reads and changes the files, one change at a time, noting each in the
journal. A flag beside the journal says so. When Redis is back, the books are brought there by
their state, and the host leaves the files; until then nobody reads Redis.

The host of a book is the one that trades it: two hosts that change the same book while Redis is
down are not reconciled beyond the order in which their changes arrive.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, Final, TypeVar

from storage_app.contract.errors import Unavailable
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookCopy, BookState, Money, PositionState
from storage_app.stores import position_entries
from storage_app.stores.fallback import Mirrored, Switches
from storage_app.stores.file.documents import locked
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.journal import MIRROR, PRIMARY, Entry
from storage_app.stores.outbox import Outbox
from storage_app.stores.redis import RedisPositions

logger = logging.getLogger(__name__)

KIND = position_entries.KIND
RETURN_SECONDS: Final = 0.1
# Between two copies of a book that others change.
FOLLOW_SECONDS: Final = 3.0

_T = TypeVar("_T")


class MirroredPositions(Mirrored[RedisPositions, FilePositions], PositionStore):
    """See `mirror.py` for what the two switches do."""

    def __init__(
        self, primary: RedisPositions, mirror: FilePositions, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        self._flag = outbox.journal.directory / "positions.on_files"
        self._known: dict[str, tuple[str, int]] = {}
        outbox.register(KIND, PRIMARY, self._bring_back)
        outbox.register(KIND, MIRROR, self._copy_changed)
        if switches.dual_write:
            outbox.every(RETURN_SECONDS, "leaving the files", self.leave_files)
            outbox.every(FOLLOW_SECONDS, "following Redis", self._follow)

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

    def leave_files(self) -> None:
        """Bring the books to Redis and go back to it; Unavailable while it is down."""
        if not self._flag.exists():
            return
        self.breaker.check()
        with self._host_lock():
            self._catch_up()
            owed = self.outbox.owed(KIND, PRIMARY)
            for book in self.mirror.list_books():
                own = [entry for entry in owed if entry.body[0] == book]
                self.breaker.call(self._settle_book, book, own)
            self._flag.unlink(missing_ok=True)
        logger.info("Positions are on Redis again; %d changes were brought there", len(owed))

    def _read(self, name: str, book: str, *args: Any) -> Any:
        if not self._flag.exists():
            try:
                found = self.breaker.call(getattr(self.primary, name), *args)
                self._believe(book, self.primary.seen.get(book))
            except Unavailable as exc:
                self._go_to_files(exc)
            else:
                return found
        if not self.switches.may_fall_back:
            raise Unavailable(self.component, "it is down or has lost a book")
        return getattr(self.mirror, name)(*args)

    def _write(self, name: str, book: str, **arguments: Any) -> Any:
        while not self._flag.exists():
            try:
                return self._write_primary(name, book, arguments)
            except Unavailable as exc:
                self._go_to_files(exc)
        if not self.switches.may_fall_back:
            raise Unavailable(self.component, "it is down or has lost a book")
        with self._host_lock():
            if self._flag.exists():
                return self._write_files(name, book, arguments)
        return self._write(name, book, **arguments)

    def _write_primary(self, name: str, book: str, arguments: dict[str, Any]) -> Any:
        generation, before = self._known_marks(book)
        method = getattr(self.primary, name)
        result = self.breaker.call(method, account_id=book, **arguments)
        revision = self.primary.answered_revision
        if revision == 1 or not generation:
            generation, _ = self.breaker.call(self.primary.read_marks, book)
        self._believe(book, (generation, revision))
        if revision != before:
            body = position_entries.to_body(book, (generation, revision), name, arguments)
            # Extremes only grow and come every second: the files have them soon.
            is_tick = name == "raise_extremes"
            marks = (True, not self.switches.dual_write)
            self.outbox.append(KIND, body, marks=marks, sync=not is_tick)
            if self._flag.exists():
                with self._host_lock():
                    self._catch_up()
        return result

    def _write_files(self, name: str, book: str, arguments: dict[str, Any]) -> Any:
        body = position_entries.to_body(book, None, name, arguments)
        entry = self.outbox.append(KIND, body)
        result = getattr(self.mirror, name)(account_id=book, **arguments)
        self.outbox.journal.mark([entry], MIRROR)
        return result

    def _known_marks(self, book: str) -> tuple[str, int]:
        known = self._known.get(book)
        if known is None:
            copy = (
                self.mirror.read_copy(book) if self.switches.dual_write else BookCopy(BookState())
            )
            known = self._known[book] = (copy.generation, copy.revision)
        return known

    def _believe(self, book: str, marks: tuple[str, int] | None) -> None:
        """Raise Unavailable when Redis shows less than it has shown before."""
        if not book or marks is None or not self.switches.dual_write:
            return
        generation, revision = marks
        known_generation, known_revision = self._known_marks(book)
        is_other = bool(known_generation) and generation != known_generation
        if is_other or revision < known_revision:
            reason = f"book {book} was at revision {known_revision}, now at {revision}"
            logger.error("Redis has lost data: %s", reason)
            raise Unavailable(self.component, reason)
        self._known[book] = (generation or known_generation, revision)

    def _go_to_files(self, reason: Unavailable) -> None:
        """Have every process of the host work on the files, which are brought up to date first."""
        if not self.switches.may_fall_back:
            raise reason
        with self._host_lock():
            self._raise_flag(reason)
        self.outbox.wake()

    def _raise_flag(self, reason: Unavailable) -> None:
        if not self._flag.exists():
            self._catch_up()
            self._flag.touch()
            logger.warning("Positions go to the files: %s", reason)

    def _host_lock(self) -> AbstractContextManager[None]:
        return locked(self._flag)

    def _catch_up(self) -> None:
        """Apply to the files what the journal has and they have not; the host lock is held."""
        entries = self.outbox.owed(KIND, MIRROR)
        stored = [entry for entry in entries if entry.body[1] is not None]
        for entry in sorted(stored, key=_revision):
            book, (generation, revision) = entry.body[:2]
            ours = self.mirror.read_copy(book)
            if revision > ours.revision and ours.generation in ("", generation):
                self._apply(entry, self.mirror)
                self.mirror.set_marks(book, generation, revision)
        for entry in entries:
            if entry.body[1] is None:
                self._apply(entry, self.mirror)
        self.outbox.journal.mark(entries, MIRROR)

    def _apply(self, entry: Entry, store: PositionStore) -> None:
        book, _, name, _ = entry.body
        getattr(store, name)(account_id=book, **position_entries.arguments_of(entry.body))

    def _settle_book(self, book: str, owed: list[Entry]) -> None:
        """Make Redis and the files agree on a book; the host lock is held."""
        ours = self.mirror.read_copy(book)
        if not owed and not ours.generation:
            return  # left by file mode, and no mirror of anything
        theirs = self.primary.dump(book)
        if theirs.state != ours.state:
            if _is_lost(theirs, ours) or _is_unchanged(theirs, ours):
                self.primary.load(book, ours)
            else:
                # Somebody else changed it, or a change arrived whose answer did not.
                for entry in owed:
                    self._apply(entry, self.primary)
                    self.outbox.journal.mark([entry], PRIMARY)
        copy = self.primary.dump(book)
        self.mirror.load_copy(book, copy)
        self._known[book] = _marks(copy)
        self.outbox.journal.mark(owed, PRIMARY)

    def _bring_back(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Do the owed changes, which marks them; a flag that is missing is put back first."""
        if not self._flag.exists():
            self._flag.touch()
        self.leave_files()
        yield []

    def _copy_changed(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for book in dict.fromkeys(entry.body[0] for entry in entries):
            own = [entry for entry in entries if entry.body[0] == book]
            if self._copy(book):
                yield [entry for entry in own if entry.body[1] is not None]

    def _copy(self, book: str) -> bool:
        """Copy a book from Redis into the files; False while the host is on the files."""
        with self._host_lock():
            if self._flag.exists():
                return False
            copy = self.breaker.call(self.primary.dump, book)
            if _is_lost(copy, self.mirror.read_copy(book)):
                self._raise_flag(Unavailable(self.component, f"it has lost book {book}"))
                return False
            self.mirror.load_copy(book, copy)
            return True

    def _follow(self) -> None:
        """Copy the books that somebody else changed."""
        if self._flag.exists():
            return
        for book in {*self.breaker.call(self.primary.list_books), *self.mirror.list_books()}:
            marks = self.breaker.call(self.primary.read_marks, book)
            ours = self.mirror.read_copy(book)
            if (marks[1] and not ours.generation) or (ours.generation and marks != _marks(ours)):
                self._copy(book)


def _revision(entry: Entry) -> int:
    _, revision = entry.body[1]
    return int(revision)


def _marks(copy: BookCopy) -> tuple[str, int]:
    return copy.generation, copy.revision


def _is_lost(theirs: BookCopy, ours: BookCopy) -> bool:
    """Tell whether the server's copy is older than ours, or begun anew."""
    if not ours.generation:
        return False
    return theirs.generation != ours.generation or theirs.revision < ours.revision


def _is_unchanged(theirs: BookCopy, ours: BookCopy) -> bool:
    return bool(ours.generation) and _marks(theirs) == _marks(ours)
