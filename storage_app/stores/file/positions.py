"""Positions in files: a directory per book under DATA_DIR/books, in SilverQuant's own form.

    books/55009728/positions.json        {"_inc_date": "2026-03-02",
                                          "000001.SZ": {"day_count": 3, "volume": 100}}
    books/55009728/max_price.json        {"000001.SZ": 10.5}
    books/55009728/min_price.json
    books/55009728/applied_trades.json   {identity of a fill or increment: the day it was applied}
    books/55009728/test/positions.json   the namespace `test` of the same account

A namespace has no dot, so it is never the name of a file. Each file holds its part of the truth,
so what SilverQuant or a person writes there counts; what belongs together changes as one
`DocumentSet`. A price without a position reads as LEFTOVER.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar

from storage_app.contract import arguments as parse
from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.contract.positions import (
    CrowdWatch,
    after_fill,
    count_open,
    fill_identity,
    from_ticks,
    increment_identity,
    incremented,
    kept_since,
    opened,
    to_ticks,
    widened,
    with_extreme,
    with_held_days,
)
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import (
    BookCopy,
    BookMarks,
    BookState,
    Money,
    PositionState,
)
from storage_app.stores.file.book_documents import (
    APPLIED,
    LINEAGE,
    MAX_PRICES,
    MIN_PRICES,
    POSITIONS,
    WHOLE,
    Draft,
    believing,
    format_marks,
    parse_book,
    parse_marks,
    write_book,
)
from storage_app.stores.file.documents import (
    DocumentSet,
    Stamps,
    make_directory,
    refusing,
)
from trades_app.market import clock


class FilePositions(PositionStore):
    """Positions below `data_dir`; threads and processes may share the directory."""

    component: ClassVar[str] = "files"

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "books"
        self._sets: dict[str, DocumentSet] = {}
        self._parsed: dict[str, tuple[Stamps, BookState]] = {}
        self._marked: dict[str, tuple[Stamps, BookMarks]] = {}
        self._open = threading.local()
        self._crowds = CrowdWatch()

    def ping(self) -> None:
        make_directory(self._root)

    def close(self) -> None:
        self._parsed.clear()

    def get_held_days(self, code: str, account_id: str) -> int | None:
        state = self.read_book(account_id).positions.get(code)
        return None if state is None else state.held_days

    def get_max_price(self, code: str, account_id: str) -> float | None:
        state = self.read_book(account_id).positions.get(code)
        return None if state is None else state.max_price

    def get_min_price(self, code: str, account_id: str) -> float | None:
        state = self.read_book(account_id).positions.get(code)
        return None if state is None else state.min_price

    def read_book(self, account_id: str) -> BookState:
        files = self._files(account_id)
        stamps = files.stamps()
        known = self._parsed.get(account_id)
        if known is not None and known[0] == stamps:
            return known[1]
        book = parse_book(files.directory, files.read())
        # The same before and after, so what was read in between belongs to these stamps.
        if stamps is not None and files.stamps() == stamps:
            self._parsed[account_id] = (stamps, book)
        return book

    def update_held_days(self, code: str, days: int, account_id: str) -> None:
        with self._updating(account_id) as draft:
            draft.positions[code] = with_held_days(code, draft.positions.get(code), days)

    def delete_held_days(self, code: str, account_id: str) -> None:
        if self._draft_of(account_id) or self._files(account_id).exists():
            with self._updating(account_id) as draft:
                draft.positions.pop(code, None)

    def increment_held_days(self, account_id: str, trade_date: date) -> bool:
        with self._updating(account_id) as draft:
            older = incremented(BookState(draft.increment_date, draft.positions), trade_date)
            if older is not None:
                draft.increment_date = older.increment_date
                draft.positions.update(older.positions)
                today = clock.today()
                _forget_before(draft, kept_since(today))
                draft.applied[increment_identity(trade_date)] = today.isoformat()
        return older is not None

    def update_max_price(self, code: str, price: Money, account_id: str) -> None:
        with self._updating(account_id) as draft:
            state = draft.positions.get(code)
            draft.positions[code] = with_extreme(code, state, max_price=_yuan(price))

    def update_min_price(self, code: str, price: Money, account_id: str) -> None:
        with self._updating(account_id) as draft:
            state = draft.positions.get(code)
            draft.positions[code] = with_extreme(code, state, min_price=_yuan(price))

    def raise_extremes(self, account_id: str, prices: Mapping[str, tuple[Money, Money]]) -> None:
        # Most ticks set no new extreme; those need no lock.
        known = self._draft_of(account_id) or self.read_book(account_id)
        if not _widen(known.positions, prices):
            return
        with self._updating(account_id) as draft:
            draft.positions |= _widen(draft.positions, prices)

    def open_positions(self, account_id: str, codes: Sequence[str]) -> list[str]:
        if not codes:
            return []
        with self._updating(account_id) as draft:
            new = [code for code in dict.fromkeys(codes) if not _is_open(draft, code)]
            draft.positions |= {code: opened(code, draft.positions.get(code)) for code in new}
        return new

    def replace_positions(
        self,
        account_id: str,
        positions: Mapping[str, PositionState],
        increment_date: date | None = None,
    ) -> None:
        with self._updating(account_id) as draft:
            draft.increment_date = increment_date
            draft.positions = dict(positions)

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
        trade_date = parse.parse_timestamp(timestamp).date()
        identity = fill_identity(code, side, trade_id, trade_date)
        today = clock.today()
        with self._updating(account_id) as draft:
            state = draft.positions.get(code)
            _forget_before(draft, kept_since(today))
            if identity in draft.applied:
                return state
            draft.applied[identity] = today.isoformat()
            moved = after_fill(code, state, side, volume, remaining, trade_date)
            if moved is None:
                draft.positions.pop(code, None)
            else:
                draft.positions[code] = moved
        return moved

    def list_books(self) -> list[str]:
        with refusing(self._root):
            accounts = [path for path in _directories(self._root) if _is_book(path.name)]
            books = {account.name: account for account in accounts}
            for account in accounts:
                books |= {f"{account.name}/{path.name}": path for path in _directories(account)}
            return sorted(name for name, path in books.items() if _is_book(name) and _stands(path))

    def read_copy(self, account_id: str) -> BookCopy:
        """Return everything there is of a book, with the server's revision it stands for."""
        files = self._files(account_id)
        documents = files.read()
        known = documents[POSITIONS]
        with believing(files.directory / APPLIED, "applied"):
            applied = {key: parse.parse_date(day) for key, day in documents[APPLIED].items()}
        marks = parse_marks(known)
        return BookCopy(
            parse_book(files.directory, documents),
            applied,
            marks,
            known.get(LINEAGE, {}),
            int(known.get(WHOLE, marks.revision)),
        )

    def read_marks(self, account_id: str) -> BookMarks:
        """Return the marks of the server's copy that this book mirrors."""
        files = self._files(account_id)
        stamps = files.stamps()
        known = self._marked.get(account_id)
        if known is not None and known[0] == stamps:
            return known[1]
        marks = parse_marks(files.read()[POSITIONS])
        if stamps is not None and files.stamps() == stamps:
            self._marked[account_id] = (stamps, marks)
        return marks

    def changed_at(self, account_id: str) -> float:
        """Return when the book was last written, in seconds since 1970; 0 if it never was."""
        stamps = [stamp[0] for stamp in self._files(account_id).stamps_now() if stamp]
        return max(stamps, default=0) / 1e9

    def load_copy(self, account_id: str, copy: BookCopy) -> None:
        """Make the book equal to a copy; nothing is written when it is so already."""
        with self._updating(account_id) as draft:
            draft.increment_date = copy.state.increment_date
            draft.positions = dict(copy.state.positions)
            draft.applied = {key: day.isoformat() for key, day in copy.applied.items()}
            draft.marks = format_marks(copy.marks, copy.lineage, copy.whole)

    def set_marks(
        self, account_id: str, marks: BookMarks, whole: int, lineage: Mapping[str, int]
    ) -> None:
        """Note which revision of the server's the book stands for, and who holds its lease."""
        with self._updating(account_id) as draft:
            draft.marks = format_marks(marks, lineage, whole)

    def _files(self, book: str) -> DocumentSet:
        files = self._sets.get(book)
        if files is None:
            files = self._sets[book] = _book_files(self._root / book)
            _refuse_alias(book, files.directory)
        return files

    @contextmanager
    def together(self, account_id: str) -> Iterator[None]:
        """Make the changes that this thread does within one durable one."""
        with self._updating(account_id) as draft:
            self._open.draft = (account_id, draft)
            try:
                yield
            finally:
                self._open.draft = None

    def _draft_of(self, book: str) -> Draft | None:
        """Return the draft that this thread has open for `together`."""
        is_open: tuple[str, Draft] | None = getattr(self._open, "draft", None)
        return is_open[1] if is_open and is_open[0] == book else None

    @contextmanager
    def _updating(self, book: str) -> Iterator[Draft]:
        draft = self._draft_of(book)
        if draft is not None:
            yield draft
            return
        files = self._files(book)
        with files.updating() as documents:
            _refuse_alias(book, files.directory)
            before = parse_book(files.directory, documents)
            draft = Draft(before.increment_date, dict(before.positions), documents[APPLIED])
            yield draft
            write_book(documents, draft)
        self._crowds.note(book, count_open(draft.positions))


def _yuan(price: Money) -> float:
    return from_ticks(to_ticks(price))


def _widen(
    positions: Mapping[str, PositionState], prices: Mapping[str, tuple[Money, Money]]
) -> dict[str, PositionState]:
    """Return the positions that a tick changes."""
    changed = {}
    for code in prices.keys() & positions.keys():
        high, low = prices[code]
        state = widened(positions[code], _yuan(high), _yuan(low))
        if state is not positions[code]:
            changed[code] = state
    return changed


def _is_open(draft: Draft, code: str) -> bool:
    state = draft.positions.get(code)
    return state is not None and state.held_days is not None


def _forget_before(draft: Draft, day: date) -> None:
    first = day.isoformat()
    draft.applied = {key: value for key, value in draft.applied.items() if str(value) >= first}


def _book_files(directory: Path) -> DocumentSet:
    return DocumentSet(directory, (POSITIONS, MAX_PRICES, MIN_PRICES, APPLIED))


def _stands(directory: Path) -> bool:
    return _book_files(directory).exists()


def _directories(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []


def _is_book(name: str) -> bool:
    try:
        parse.parse_book(name)
    except InvalidInput:
        return False
    return True


def _refuse_alias(book: str, directory: Path) -> None:
    """Keep `test` and `Test` apart where the disk does not."""
    parts = book.split("/")
    if list(directory.resolve().parts[-len(parts) :]) != parts:
        raise Conflict(f"book {book!r} is on this disk the same as {directory.resolve()}")
