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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from storage_app.contract import arguments as parse
from storage_app.contract.errors import Conflict, Corrupt, InvalidInput
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
    PositionFlag,
    PositionState,
)
from storage_app.stores.file.documents import (
    Document,
    DocumentSet,
    Stamps,
    make_directory,
    refusing,
)
from trades_app.market import clock

POSITIONS = "positions.json"
MAX_PRICES = "max_price.json"
MIN_PRICES = "min_price.json"
APPLIED = "applied_trades.json"
INCREMENT_DATE = "_inc_date"
REVISION = "_rev"
GENERATION = "_gen"
LEASE = "_lease"
LINEAGE = "_was"
WHOLE = "_whole"

_MARKS = (REVISION, GENERATION, LEASE, LINEAGE, WHOLE)

Documents = dict[str, Document]
_T = TypeVar("_T")


@dataclass(slots=True)
class Draft:
    """A book open for change."""

    increment_date: date | None
    positions: dict[str, PositionState]
    applied: Document
    # Of the server's copy, where this book mirrors one; None keeps what stands there.
    marks: Document | None = None


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
        with _believing(files.directory / APPLIED, "applied"):
            applied = {key: parse.parse_date(day) for key, day in documents[APPLIED].items()}
        marks = _parse_marks(known)
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
        marks = _parse_marks(files.read()[POSITIONS])
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
            draft.marks = _format_marks(copy.marks, copy.lineage, copy.whole)

    def set_marks(
        self, account_id: str, marks: BookMarks, whole: int, lineage: Mapping[str, int]
    ) -> None:
        """Note which revision of the server's the book stands for, and who holds its lease."""
        with self._updating(account_id) as draft:
            draft.marks = _format_marks(marks, lineage, whole)

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


def parse_book(directory: Path, documents: Documents) -> BookState:
    """Return the book; Corrupt names the file and the code that cannot be believed."""
    path = directory / POSITIONS
    entries = {key: value for key, value in documents[POSITIONS].items() if key[:1] != "_"}
    highest = _parse_prices(directory / MAX_PRICES, documents[MAX_PRICES])
    lowest = _parse_prices(directory / MIN_PRICES, documents[MIN_PRICES])
    positions = _by_code(path, entries, _parse_entry)
    for code in highest.keys() | lowest.keys():
        state = positions.get(code)
        positions[code] = with_extreme(
            code, state, max_price=highest.get(code), min_price=lowest.get(code)
        )
    with _believing(path, INCREMENT_DATE):
        done = documents[POSITIONS].get(INCREMENT_DATE)
        return BookState(parse.parse_date(done) if done else None, positions)


def write_book(documents: Documents, draft: Draft) -> None:
    """Put the draft into the documents, keeping what other programs wrote beside it."""
    old = documents[POSITIONS]
    new = {key: value for key, value in old.items() if key[:1] == "_" and key != INCREMENT_DATE}
    if draft.increment_date is not None:
        new[INCREMENT_DATE] = draft.increment_date.isoformat()
    for code, state in draft.positions.items():
        if not _is_price_only(state):
            new[code] = {**_foreign_keys(old.get(code)), **_format_entry(state)}
    if draft.marks is not None:
        new = {key: value for key, value in new.items() if key not in _MARKS} | draft.marks
    documents[POSITIONS] = new
    documents[MAX_PRICES] = {
        code: state.max_price
        for code, state in draft.positions.items()
        if state.max_price is not None
    }
    documents[MIN_PRICES] = {
        code: state.min_price
        for code, state in draft.positions.items()
        if state.min_price is not None
    }
    documents[APPLIED] = draft.applied


def _parse_marks(document: Document) -> BookMarks:
    return BookMarks(
        str(document.get(GENERATION, "")),
        int(document.get(REVISION, 0)),
        str(document.get(LEASE, "")),
    )


def _format_marks(marks: BookMarks, lineage: Mapping[str, int], whole: int) -> Document:
    document: Document = {REVISION: marks.revision, GENERATION: marks.generation}
    optional = {
        LEASE: marks.lease,
        LINEAGE: dict(lineage),
        WHOLE: whole if whole != marks.revision else None,
    }
    return document | {key: value for key, value in optional.items() if value not in ("", {}, None)}


def _parse_entry(code: str, value: Any) -> PositionState:
    if not isinstance(value, dict):
        raise InvalidInput('an object like {"day_count": 3} was expected')
    days, volume, opened_on = (value.get(key) for key in ("day_count", "volume", "opened_on"))
    return PositionState(
        code,
        held_days=None if days is None else parse.parse_held_days(days),
        volume=None if volume is None else parse.parse_remaining(volume),
        opened_on=None if opened_on is None else parse.parse_date(opened_on),
        flag=parse.parse_choice(PositionFlag)(value.get("flag", PositionFlag.CLEAR)),
    )


def _format_entry(state: PositionState) -> Document:
    known = {
        "volume": state.volume,
        "opened_on": state.opened_on.isoformat() if state.opened_on else None,
        "flag": state.flag.value or None,
    }
    present = {key: value for key, value in known.items() if value is not None}
    return {"day_count": state.held_days, **present}


def _foreign_keys(entry: Any) -> Document:
    own = {"day_count", "volume", "opened_on", "flag"}
    return {key: value for key, value in (entry or {}).items() if key not in own}


def _parse_prices(path: Path, document: Document) -> dict[str, float]:
    return _by_code(path, document, lambda _, value: float(parse.parse_price(value)))


def _by_code(path: Path, document: Document, read: Callable[[str, Any], _T]) -> dict[str, _T]:
    parsed: dict[str, _T] = {}
    for key, value in document.items():
        with _believing(path, key):
            code = parse.parse_code(key)
            if code in parsed:
                raise InvalidInput(f"{code} stands there twice")
            parsed[code] = read(code, value)
    return parsed


@contextmanager
def _believing(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as exc:
        raise Corrupt(path, f"{key!r}: {exc}") from exc


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


def _is_price_only(state: PositionState) -> bool:
    """Tell whether the price files alone say all of it."""
    has_price = state.max_price is not None or state.min_price is not None
    is_plain = state.held_days is None and state.volume is None and state.opened_on is None
    return state.flag is PositionFlag.LEFTOVER and has_price and is_plain


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
