"""Books of positions: Redis is right, unless it has lost the book or cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from storage_app.contract.errors import Conflict, Corrupt
from storage_app.contract.types import BookCopy, PositionState
from storage_app.stores import books
from storage_app.stores.compose import open_platform_store
from storage_app.stores.file.documents import locked
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.redis import RedisPositions, book_key
from storage_app.verify.books import read_book
from storage_app.verify.differences import Difference, Kind, Problem, Side
from storage_app.verify.positions import ON_FILES, account_of, describe
from storage_app.verify.repairs.actions import Action
from storage_app.verify.repairs.steps import Done, Step, set_aside
from storage_app.verify.scope import Scope
from trades_app.market import calendar


def action_for(scope: Scope, book: str) -> Action:
    """Return which way a book has to be copied; by hand when neither side can be read."""
    try:
        ours = read_book(scope.data_dir, book)
    except Corrupt:
        return Action.COPY_BOOK if _is_readable(book) else Action.BY_HAND
    server = RedisPositions()
    try:
        theirs = server.dump(book)
    except Corrupt:
        return Action.RESTORE_BOOK
    finally:
        server.close()
    return Action.RESTORE_BOOK if _is_lost(theirs, ours.marks) else Action.COPY_BOOK


def copy_book(scope: Scope, step: Step) -> Done:
    """Make the files equal to the book in Redis."""
    book, files, server = step.unit, FilePositions(scope.data_dir), RedisPositions()
    try:
        with _host(scope):
            theirs = server.dump(book)
            before = _set_damaged_aside(scope, book)
            files.load_copy(book, theirs)
    finally:
        server.close()
    return Done(before, _entries(theirs))


def restore_book(scope: Scope, step: Step) -> Done:
    """Make the book in Redis equal to the files, which then mirror its new revision."""
    book, files, server = step.unit, FilePositions(scope.data_dir), RedisPositions()
    try:
        with _host(scope):
            ours = files.read_copy(book)
            before = _read_server(server, book)
        books.restore(scope.data_dir, book)
    finally:
        server.close()
    return Done(before, _entries(ours))


def aged_wrongly(scope: Scope) -> list[tuple[str, PositionState, int]]:
    """Return the positions whose age does not follow from their opening day, with the right one.

    The opening day is day 0, and the last increment of the book is the day it is counted to.
    """
    server = RedisPositions()
    try:
        return [
            (book, state, days)
            for book in server.list_books()
            if scope.has_account(account_of(book))
            for state, days in _wrong_ages(server, book)
        ]
    finally:
        server.close()


def _wrong_ages(server: RedisPositions, book: str) -> list[tuple[PositionState, int]]:
    state = server.read_book(book)
    done = state.increment_date
    if done is None:
        return []
    found = []
    for one in state.positions.values():
        days = _days_held(one, done)
        if days is not None and days != one.held_days:
            found.append((one, days))
    return found


def _days_held(state: PositionState, until: date) -> int | None:
    if state.held_days is None or state.opened_on is None:
        return None
    return max(calendar.count_trading_days(state.opened_on, until) - 1, 0)


def recompute_age(scope: Scope, step: Step) -> Done:
    """Set the age of a position to what follows from its opening day."""
    book, _, code = step.unit.rpartition(" ")
    for found, state, days in aged_wrongly(replace(scope, accounts=frozenset({account_of(book)}))):
        if (found, state.code) == (book, code):
            store = open_platform_store(scope.data_dir)
            try:
                store.update_held_days(code, days, book)
            finally:
                store.close()
            return Done({code: state.held_days}, {code: days})
    raise Conflict(f"{step.unit} is as old as it should be by now")


def plan_ages(scope: Scope) -> list[Step]:
    return [
        Step(
            Kind.POSITIONS,
            Action.HELD_DAYS,
            f"{book} {state.code}",
            account_of(book),
            1,
            Difference(
                Kind.POSITIONS,
                Problem.DIFFERS,
                f"{book} {state.code}",
                "held_days",
                Side(f"redis {book_key(book)}", state.held_days),
                Side(f"opened_on {state.opened_on}", days),
                account_id=account_of(book),
            ).as_finding(),
        )
        for book, state, days in aged_wrongly(scope)
    ]


@contextmanager
def _host(scope: Scope) -> Iterator[None]:
    """Keep the processes of this host from going to the files, or coming back, meanwhile."""
    flag = scope.journal / ON_FILES
    with locked(flag):
        if flag.exists():
            raise Conflict("this host works on its files; bring what is owed to Redis first")
        yield


def _is_readable(book: str) -> bool:
    server = RedisPositions()
    try:
        return bool(server.dump(book).marks.revision)
    except Corrupt:
        return False
    finally:
        server.close()


def _is_lost(theirs: BookCopy, marks: tuple[str, int]) -> bool:
    """Tell whether Redis has an older copy than the files, or has begun anew."""
    generation, revision = marks
    known = theirs.marks
    return bool(generation) and (known.generation != generation or known.revision < revision)


def _set_damaged_aside(scope: Scope, book: str) -> dict[str, Any]:
    """Return what the files held; what cannot be believed is kept beside its place."""
    while True:
        try:
            return _entries(FilePositions(scope.data_dir).read_copy(book))
        except Corrupt as exc:
            with locked(exc.path.parent / "documents"):
                set_aside(exc.path)


def _read_server(server: RedisPositions, book: str) -> dict[str, Any]:
    try:
        return _entries(server.dump(book))
    except Corrupt as exc:
        return {"damaged": exc.reason}


def _entries(copy: BookCopy) -> dict[str, Any]:
    done = copy.state.increment_date
    positions: Mapping[str, PositionState] = copy.state.positions
    return {
        "_inc_date": done and done.isoformat(),
        **{code: describe(state) for code, state in sorted(positions.items())},
    }
