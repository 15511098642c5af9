"""Positions: the book in Redis against its mirror in the files, field by field.

Both carry the revision of Redis. Only at the same revision is a difference one; a mirror that is
behind is given time to follow, and a book with owed changes is the journal's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_noop

from storage_app.contract.errors import Corrupt
from storage_app.contract.positions import kept_since
from storage_app.contract.types import BookCopy, BookState, PositionState
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.redis import RedisPositions, book_key
from storage_app.verify import pending
from storage_app.verify.books import FileBook, read_book
from storage_app.verify.differences import Difference, Kind, Problem, Side, damaged, told
from storage_app.verify.scope import Examination
from trades_app.market import clock

FIELDS: Final = ("held_days", "max_price", "min_price", "volume", "opened_on", "flag")
INCREMENT_DATE: Final = "_inc_date"
APPLIED: Final = "applied fills"
REVISION: Final = "_rev"
# The host works on its files as long as this stands in the journal's directory.
ON_FILES: Final = "positions.on_files"
_POLL_SECONDS: Final = 0.1
_NAMED_FILLS: Final = 5


def compare(exam: Examination) -> Iterator[Difference]:
    scope = exam.scope
    if not scope.keeps_mirror:
        exam.note(gettext_noop("ENABLE_DUAL_WRITE is off: there are no files to compare."))
        return
    if (scope.journal / ON_FILES).exists():
        exam.note(gettext_noop("Positions are on the files until their owed changes reach Redis."))
        return
    server = RedisPositions()
    try:
        books = [
            book
            for book in sorted({*server.list_books(), *FilePositions(scope.data_dir).list_books()})
            if scope.has_account(account_of(book))
        ]
        for number, book in enumerate(books):
            exam.step(Kind.POSITIONS, number, len(books))
            yield from _compare_book(exam, server, book)
        exam.step(Kind.POSITIONS, len(books), len(books))
    finally:
        server.close()


def account_of(book: str) -> str:
    return book.partition("/")[0]


def _compare_book(exam: Examination, server: RedisPositions, book: str) -> Iterator[Difference]:
    try:
        found = _settled(exam, server, book)
    except Corrupt as exc:
        yield damaged(Kind.POSITIONS, exc, book, account_of(book))
        return
    if found is None:
        return
    theirs, ours = found
    exam.counts["books"] += 1
    exam.counts["positions"] += len(theirs.state.positions.keys() | ours.state.positions.keys())
    yield from differences(book, theirs, ours)


def _settled(
    exam: Examination, server: RedisPositions, book: str
) -> tuple[BookCopy, FileBook] | None:
    """Return both copies once the mirror has caught up, or has had the time to.

    None for a book that is no mirror of anything, or has changes that are owed.
    """
    deadline = time.monotonic() + exam.scope.patience.books
    while True:
        ours = read_book(exam.scope.data_dir, book)
        theirs = server.dump(book)
        if theirs.marks[:2] == ours.marks:
            return theirs, ours
        if not theirs.marks.generation and not ours.generation:
            exam.note(
                gettext_noop("%(book)s is a book of file mode: nothing mirrors it."), book=book
            )
            return None
        if time.monotonic() > deadline:
            if book in pending.books(exam.scope.journal):
                exam.note(gettext_noop("%(book)s has owed changes: not compared."), book=book)
                return None
            return theirs, ours
        time.sleep(_POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Where the two copies of a book stand."""

    book: str
    file: str

    def differ(
        self, key: str, name: str, left: Any, right: Any, problem: Problem = Problem.DIFFERS
    ) -> Difference:
        sides = Side(f"redis {book_key(self.book)}", left), Side(self.file, right)
        return Difference(
            Kind.POSITIONS, problem, key, name, *sides, self.book, account_of(self.book)
        )


def differences(book: str, theirs: BookCopy, ours: FileBook) -> Iterator[Difference]:
    """Yield what the server's copy and the mirror tell differently."""
    sides = _Sides(book, str(ours.directory))
    if not theirs.marks.revision or not ours.exists:
        left = _size(theirs.state) if theirs.marks.revision else None
        right = _size(ours.state) if ours.exists else None
        yield sides.differ(book, "", left, right, Problem.MISSING)
        return
    if theirs.marks[:2] != ours.marks:
        yield sides.differ(book, REVISION, theirs.marks.revision, ours.revision)
    dates = theirs.state.increment_date, ours.state.increment_date
    if dates[0] != dates[1]:
        yield sides.differ(book, INCREMENT_DATE, *dates)
    yield from _applied(sides, theirs, ours)
    for code in sorted(theirs.state.positions.keys() | ours.state.positions.keys()):
        yield from _compare_code(sides, code, theirs.state.positions, ours.state.positions)


def _compare_code(
    sides: _Sides,
    code: str,
    theirs: Mapping[str, PositionState],
    ours: Mapping[str, PositionState],
) -> Iterator[Difference]:
    one, other, key = theirs.get(code), ours.get(code), f"{sides.book} {code}"
    if one is None or other is None:
        yield sides.differ(key, "", describe(one), describe(other), Problem.MISSING)
        return
    for name in FIELDS:
        values = getattr(one, name), getattr(other, name)
        if values[0] != values[1]:
            yield sides.differ(key, name, *values)


def _applied(sides: _Sides, theirs: BookCopy, ours: FileBook) -> Iterator[Difference]:
    """Compare the fills that count as applied; older ones are forgotten at different times."""
    since = kept_since(clock.today())
    one, other = (
        {identity for identity, day in applied.items() if day >= since}
        for applied in (theirs.applied, ours.applied)
    )
    if one != other:
        named = sorted(one - other)[:_NAMED_FILLS], sorted(other - one)[:_NAMED_FILLS]
        left, right = ("; ".join(own) or None for own in named)
        yield sides.differ(sides.book, APPLIED, left, right)


def _size(state: BookState) -> list[Any]:
    return told("%(count)d positions", count=len(state.positions))


def describe(state: PositionState | None) -> str | None:
    if state is None:
        return None
    values = ((name, getattr(state, name)) for name in FIELDS)
    return ", ".join(f"{name} {value}" for name, value in values if value not in (None, ""))
