"""Making Redis and the files of a host agree on a book, after an outage or a loss.

What the host changed meanwhile is brought to Redis as it stands if nobody else changed the book,
else change by change (`reconcile.py`). A book that Redis has lost, or has older than it was, is
rebuilt from the files. It begins a new generation then, whose lineage tells what it contains, so
that other hosts know it again and add what they had done and it does not contain.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from storage_app.contract.types import BookCopy, BookMarks, PositionState
from storage_app.stores import position_conflicts, position_entries
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    dump_document,
    make_directory,
    read_document,
    refusing,
)
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.journal import KEPT_SECONDS, Entry, Journal
from storage_app.stores.position_conflicts import PositionConflict
from storage_app.stores.position_entries import KIND
from storage_app.stores.reconcile import Change, Merged, merge
from storage_app.stores.redis import RedisPositions
from trades_app.market import clock

# What a host did so long before it last was well informed may be missing on a rebuilt book.
DOUBT_SECONDS: Final = 60.0
# Generations that a book remembers to contain.
MOST_ANCESTORS: Final = 16


class Settlement:
    """For one host; whoever calls holds its lock."""

    def __init__(self, primary: RedisPositions, mirror: FilePositions, journal: Journal) -> None:
        self.primary = primary
        self.mirror = mirror
        self.journal = journal
        # What `_recent` has read, for the books that are settled together.
        self._journalled: tuple[float, list[Entry]] | None = None

    def keep_base(self, book: str, outage: int) -> None:
        """Keep the book as it is before its first change of an outage, which a number tells."""
        path = self._base_path(book)
        if self._read_base(book, outage) is None:
            make_directory(path.parent)
            document = position_entries.to_document(self.mirror.read_copy(book))
            atomic_write_bytes(path, dump_document(document | {"outage": outage}))

    def begin(self) -> None:
        """Read the journal anew for what is settled next."""
        self._journalled = None

    def settle(
        self,
        book: str,
        owed: list[Entry],
        outage: int,
        *,
        may_rebuild: bool,
        may_mend: bool = False,
    ) -> BookMarks | None:
        """Make both agree, which brings what is owed to Redis; return the marks of the book.

        None, and nothing is done, if Redis has lost the book and must not be rebuilt.
        `outage` is when this host went to its files, in nanoseconds since 1970, 0 if it did not.
        """
        ours = self.mirror.read_copy(book)
        while True:
            theirs = self.primary.dump(book)
            wanted: BookCopy | None
            if not is_lost(theirs.marks, ours.marks) or ours.marks.generation in theirs.lineage:
                changes = self._changes(book, theirs, owed, outage / 1e9 or time.time())
                base = self._read_base(book, outage) or ours
                wanted = self._merged(book, base, ours, theirs, changes, is_owed=bool(owed))
            elif may_rebuild:
                wanted = _rebuilt(ours, theirs.marks)
            elif may_mend and theirs.marks.generation == ours.marks.generation:
                wanted = self._mended(book, ours, theirs)
            else:
                return None
            if wanted is None:
                return self._take_over(book, theirs)
            if self.primary.load(book, wanted, theirs.marks):
                return self._take_over(book, wanted)

    def restore(self, book: str) -> BookMarks:
        """Make the book in Redis what the files have, whatever stands there."""
        ours = self.mirror.read_copy(book)
        while True:
            seen = self.primary.read_marks(book)
            wanted = _rebuilt(ours, seen)
            if self.primary.load(book, wanted, seen):
                return self._take_over(book, wanted)

    def decide(self, conflict: PositionConflict) -> None:
        """Put the host's side of a code that stopped in its place."""
        book = conflict.book
        while True:
            theirs = self.primary.dump(book)
            positions = dict(theirs.state.positions)
            state = _moved_on(conflict, positions.pop(conflict.code, None))
            if state is not None:
                positions[conflict.code] = state
            generation, revision, lease = theirs.marks
            marks = BookMarks(generation, revision + 1, lease)
            wanted = replace(theirs, state=replace(theirs.state, positions=positions), marks=marks)
            if self.primary.load(book, wanted, theirs.marks):
                self._take_over(book, wanted)
                return

    def _take_over(self, book: str, copy: BookCopy) -> BookMarks:
        """Have the files agree with Redis, without asking it again: it may be empty by now."""
        copy = replace(copy, whole=copy.marks.revision)
        self.mirror.load_copy(book, copy)
        base = self._base_path(book)
        with refusing(base):
            base.unlink(missing_ok=True)
        return copy.marks

    def _merged(
        self,
        book: str,
        base: BookCopy,
        ours: BookCopy,
        theirs: BookCopy,
        changes: Iterator[Change],
        *,
        is_owed: bool,
    ) -> BookCopy | None:
        """Return what Redis shall have; None if it has that already."""
        if ours.marks[:2] == theirs.marks[:2] and ours.whole == ours.marks.revision:
            if not is_owed:
                return None
            # Nobody else changed it.
            result = Merged(ours.state, ours.applied)
        else:
            result = merge(base, ours, theirs, changes)
            self._note_stopped(book, ours, result)
        if (result.state, result.applied) == (theirs.state, theirs.applied):
            return None
        marks = BookMarks(
            theirs.marks.generation or new_generation(),
            theirs.marks.revision + 1,
            theirs.marks.lease or ours.marks.lease,
        )
        return replace(theirs, state=result.state, applied=result.applied, marks=marks)

    def _mended(self, book: str, ours: BookCopy, theirs: BookCopy) -> BookCopy:
        """Return an older book, which whoever holds it takes for whole, with what we had done
        since; as a new generation, so that every other host adds its own."""
        generation, revision, lease = theirs.marks
        older = replace(theirs, lineage=dict(theirs.lineage) | {generation: revision})
        result = merge(ours, ours, older, self._changes(book, older, [], time.time()))
        self._note_stopped(book, ours, result)
        marks = BookMarks(new_generation(), max(revision, ours.marks.revision) + 1, lease)
        return replace(older, state=result.state, applied=result.applied, marks=marks)

    def _changes(
        self, book: str, theirs: BookCopy, owed: list[Entry], well_until: float
    ) -> Iterator[Change]:
        """Yield what Redis had once and may lack now, and then what it never had."""
        informed = min(well_until, self.mirror.changed_at(book))
        for entry in self._recent(max(informed, time.time() - KEPT_SECONDS) - DOUBT_SECONDS):
            if entry.kind == KIND and entry.body[0] == book and _may_lack(theirs, entry):
                yield _change(entry, was_there=True)
        for entry in owed:
            yield _change(entry, was_there=False)

    def _recent(self, moment: float) -> list[Entry]:
        if not self._journalled or self._journalled[0] > moment:
            self._journalled = (moment, self.journal.since(moment))
        return [one for one in self._journalled[1] if one.stamp >= moment * 1e9]

    def _note_stopped(self, book: str, ours: BookCopy, result: Merged) -> None:
        if result.stopped:
            position_conflicts.note(
                self.journal.directory,
                [
                    PositionConflict(
                        book,
                        code,
                        ours.state.positions.get(code),
                        result.state.positions.get(code),
                        differs,
                        clock.now(),
                    )
                    for code, differs in result.stopped.items()
                ],
            )

    def _base_path(self, book: str) -> Path:
        return self.journal.directory / "bases" / f"{quote(book, safe='')}.json"

    def _read_base(self, book: str, outage: int) -> BookCopy | None:
        """Return the book as it was before the outage; None if what is kept is of another one."""
        document = read_document(self._base_path(book))
        is_of_this = outage and document.get("outage") == outage
        return position_entries.from_document(document) if is_of_this else None


def _rebuilt(ours: BookCopy, theirs: BookMarks) -> BookCopy:
    """Return our copy as a new generation, which contains nothing of what is there."""
    lineage = dict(ours.lineage)
    if ours.marks.generation:
        lineage[ours.marks.generation] = ours.whole
    if theirs.generation:
        lineage.setdefault(theirs.generation, 0)
    kept = dict(list(lineage.items())[-MOST_ANCESTORS:])
    revision = max(ours.marks.revision, theirs.revision) + 1
    return replace(
        ours, marks=BookMarks(new_generation(), revision, ours.marks.lease), lineage=kept
    )


def _moved_on(conflict: PositionConflict, now: PositionState | None) -> PositionState | None:
    """Return the host's side with what has happened to the position since the outage."""
    host, then = conflict.host, conflict.redis
    if host is None or now is None or then is None or now == then:
        return host
    return replace(
        host,
        held_days=_shifted(host.held_days, then.held_days, now.held_days),
        volume=_shifted(host.volume, then.volume, now.volume),
        max_price=max(filter(None, (host.max_price, now.max_price)), default=None),
        min_price=min(filter(None, (host.min_price, now.min_price)), default=None),
    )


def _shifted(host: int | None, then: int | None, now: int | None) -> int | None:
    if host is None or then is None or now is None:
        return host
    return max(host + now - then, 0)


def _may_lack(theirs: BookCopy, entry: Entry) -> bool:
    """Tell whether Redis may have lost what it had acknowledged to this host."""
    marks = position_entries.marks_of(entry.body)
    if marks is None:
        return False
    # These tell by themselves whether they are there.
    if entry.body[2] in ("apply_fill", "increment_held_days"):
        return True
    return marks.revision > theirs.lineage.get(marks.generation, marks.revision)


def _change(entry: Entry, *, was_there: bool) -> Change:
    return Change(entry.body[2], position_entries.arguments_of(entry.body), was_there)


def new_generation() -> str:
    return f"{int(time.time())}.{secrets.token_hex(4)}"


def is_lost(theirs: BookMarks, ours: BookMarks) -> bool:
    """Tell whether the server's copy is older than ours, or begun anew."""
    if not ours.generation:
        return False
    return theirs.generation != ours.generation or theirs.revision < ours.revision
