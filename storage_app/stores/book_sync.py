"""How the files of a host and Redis are brought together, book by book.

While Redis is well its books are copied into the files, also those that other hosts change. When
it fails, or has lost a book, the host goes to the files: a flag beside the journal says so to
every process of the host, after the files were brought up to the last entry of the journal. When
it is back, what the host changed meanwhile is brought there: as it stands if nobody else changed
the book, else change by change (`reconcile.py`), and the host leaves the files.

A book that Redis has lost, or has older than it was, is rebuilt by the host that holds its lease.
It begins a new generation then, whose lineage tells what it contains, so that the other hosts know
it again and add what they had done and it does not contain.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Final
from urllib.parse import quote

from storage_app.contract.errors import NotFound, Unavailable
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookCopy, BookMarks, BookState, PositionState
from storage_app.stores import position_conflicts, position_entries
from storage_app.stores.breaker import Breaker
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    dump_document,
    locked,
    make_directory,
    read_document,
    refusing,
)
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.host import host_name
from storage_app.stores.journal import KEPT_SECONDS, MIRROR, PRIMARY, Entry
from storage_app.stores.outbox import Outbox
from storage_app.stores.position_conflicts import PositionConflict
from storage_app.stores.reconcile import Change, Merged, merge
from storage_app.stores.redis import RedisPositions
from trades_app.market import clock

logger = logging.getLogger(__name__)

KIND: Final = position_entries.KIND
RETURN_SECONDS: Final = 0.1
# Between two looks at what others change; with the copying it stays below 5 s.
FOLLOW_SECONDS: Final = 2.0
# What a host did so long before its last copy of a book may be missing on a rebuilt one.
DOUBT_SECONDS: Final = 60.0
# Generations that a book remembers to contain.
MOST_ANCESTORS: Final = 16


class LostElsewhere(Unavailable):
    """Redis has lost a book that another host has to bring back."""


class BookSync:
    """The host's side of all books; `keeps_files` is False where there is no mirror."""

    def __init__(
        self,
        primary: RedisPositions,
        mirror: FilePositions,
        outbox: Outbox,
        breaker: Breaker,
        *,
        keeps_files: bool,
    ) -> None:
        self.primary = primary
        self.mirror = mirror
        self.outbox = outbox
        self.breaker = breaker
        self.keeps_files = keeps_files
        self._directory = outbox.journal.directory
        self._flag = self._directory / "positions.on_files"
        self._known: dict[str, BookMarks] = {}
        # What `_recent` has read, for the books that are settled together.
        self._journalled: tuple[float, list[Entry]] | None = None
        # Losses that the log has told of.
        self._told: set[tuple[str, BookMarks]] = set()
        outbox.register(KIND, PRIMARY, self._bring_back)
        outbox.register(KIND, MIRROR, self._copy_changed)
        if keeps_files:
            outbox.every(RETURN_SECONDS, "leaving the files", self.leave_files)
            outbox.every(FOLLOW_SECONDS, "following Redis", self.follow)

    @cached_property
    def host(self) -> str:
        return host_name(self._directory)

    def is_on_files(self) -> bool:
        return self._flag.exists()

    def host_lock(self) -> AbstractContextManager[None]:
        return locked(self._flag)

    # --- what is known of Redis -------------------------------------------------------------

    def believe(self, book: str, marks: BookMarks | None) -> bool:
        """Raise Unavailable when Redis shows less than it has shown before.

        False: what was shown was old, or the book was brought up to date since.
        """
        if not book or marks is None or not self.keeps_files:
            return True
        known = self.known_marks(book)
        if not _is_lost(marks, known):
            self._known[book] = marks
            return True
        if not self._is_well_after_all(book, known):
            self._refuse(book, known, marks)
        return False

    def _is_well_after_all(self, book: str, known: BookMarks) -> bool:
        """Look again: the answer may have been overtaken, or another host has rebuilt the book."""
        now = self.breaker.call(self.primary.read_marks, book)
        if not _is_lost(now, known):
            self._known[book] = now
            return True
        if not now.generation or now.generation == known.generation:
            return False
        with self.host_lock():
            return not self.is_on_files() and self._settle(book, [], may_rebuild=False)

    def _refuse(self, book: str, known: BookMarks, marks: BookMarks) -> None:
        reason = f"book {book} was at revision {known.revision}, now at {marks.revision}"
        if (book, known) not in self._told:
            self._told.add((book, known))
            logger.error("Redis has lost data: %s", reason)
        if self._is_ours(known):
            raise Unavailable(self.primary.component, reason)
        raise LostElsewhere(
            self.primary.component, f"{reason}; host {known.lease} has to bring it back"
        )

    def known_marks(self, book: str) -> BookMarks:
        known = self._known.get(book)
        if known is None:
            known = self.mirror.read_marks(book) if self.keeps_files else BookMarks()
            self._known[book] = known
        return known

    def _is_ours(self, marks: BookMarks) -> bool:
        """Tell whether this host may rebuild the book: nobody else holds it."""
        return marks.lease in ("", self.host)

    # --- to the files, and back -------------------------------------------------------------

    def go_to_files(self, reason: Unavailable) -> None:
        """Have every process of the host work on the files, which are brought up to date first."""
        with self.host_lock():
            self._raise_flag(reason)
        self.outbox.wake()

    def _raise_flag(self, reason: Unavailable) -> None:
        if not self._flag.exists():
            self.catch_up()
            self._flag.touch()
            logger.warning("Positions go to the files: %s", reason)

    def check_lease(self, book: str, *, may_begin: bool) -> None:
        """Raise Unavailable if another host may change the book while Redis is down, or nobody.

        A book that this host knows nothing of, or only by itself, is begun here if `may_begin`.
        """
        marks = self.mirror.read_marks(book)
        if marks.lease == self.host:
            return
        if marks.lease:
            reason = f"host {marks.lease} holds the lease of book {book}, this is {self.host}"
        elif marks.generation:
            reason = f"nobody holds the lease of book {book}"
        elif may_begin:
            self.mirror.set_marks(book, BookMarks(lease=self.host), 0, {})
            return
        else:
            reason = f"this host knows no book {book}"
        raise Unavailable(self.primary.component, f"it is down, and {reason}")

    def keep_base(self, book: str) -> None:
        """Keep the book as it is before the first change that Redis does not have."""
        path = self._base_path(book)
        if self._read_base(book, self.mirror.read_marks(book)) is None:
            make_directory(path.parent)
            document = position_entries.to_document(self.mirror.read_copy(book))
            atomic_write_bytes(path, dump_document(document))

    def catch_up(self) -> None:
        """Apply to the files what the journal has and they have not; the host lock is held."""
        entries = self.outbox.owed(KIND, MIRROR)
        for book in dict.fromkeys(entry.body[0] for entry in entries):
            self._catch_up_book(book, [entry for entry in entries if entry.body[0] == book])
        self.outbox.journal.mark(entries, MIRROR)

    def _catch_up_book(self, book: str, entries: list[Entry]) -> None:
        """Do all in one step, since a trading thread may wait for it."""
        ours = self.mirror.read_copy(book)
        marks, whole = ours.marks, ours.whole
        stored = [entry for entry in entries if entry.body[1] is not None]
        with self.mirror.together(book):
            for _, group in groupby(sorted(stored, key=_revision), key=_revision):
                # What was answered with one revision: the change, and what it made needless.
                own = [one for one in group if _follows(one, marks)]
                if own:
                    for entry in own:
                        self._apply(entry, self.mirror)
                    marks = position_entries.marks_of(own[-1].body) or marks
                    is_change = any(position_entries.is_change(entry.body) for entry in own)
                    whole += is_change and marks.revision == whole + 1
            for entry in entries:
                if entry.body[1] is None:
                    self._apply(entry, self.mirror)
            if marks != ours.marks:
                self.mirror.set_marks(book, marks, whole, ours.lineage)

    def _apply(self, entry: Entry, store: PositionStore) -> None:
        book, _, name, _ = entry.body
        if name != position_entries.CLAIM:
            getattr(store, name)(account_id=book, **position_entries.arguments_of(entry.body))

    def leave_files(self) -> None:
        """Bring the books to Redis and go back to it; Unavailable while it is down."""
        if not self._flag.exists():
            return
        self.breaker.check()
        with self.host_lock():
            self.catch_up()
            owed = self.outbox.owed(KIND, PRIMARY)
            for book in self.mirror.list_books():
                own = [entry for entry in owed if entry.body[0] == book]
                self.breaker.call(self._settle, book, own)
            self._flag.unlink(missing_ok=True)
        logger.info("Positions are on Redis again; %d changes were brought there", len(owed))

    def _bring_back(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Do the owed changes, which marks them; a flag that is missing is put back first."""
        if not self._flag.exists():
            self._flag.touch()
        self.leave_files()
        yield []

    # --- making both agree ------------------------------------------------------------------

    def _settle(self, book: str, owed: list[Entry], *, may_rebuild: bool = True) -> bool:
        """Make Redis and the files agree on a book; the host lock is held.

        False if Redis has lost the book and it is not for this host, or not now, to rebuild it.
        """
        ours = self.mirror.read_copy(book)
        if not owed and not ours.marks.generation:
            return True  # left by file mode, and no mirror of anything
        self._journalled = None
        while True:
            theirs = self.primary.dump(book)
            is_lost = _is_lost(theirs.marks, ours.marks)
            wanted: BookCopy | None
            if is_lost and ours.marks.generation not in theirs.lineage:
                if not may_rebuild or not (owed or self._is_ours(ours.marks)):
                    return False
                wanted = self._rebuilt(ours, theirs)
            else:
                wanted = self._merged(book, ours, theirs, owed)
            if wanted is None or self.primary.load(book, wanted, theirs.marks):
                break
        self._take_over(book)
        self.outbox.journal.mark(owed, PRIMARY)
        return True

    def _take_over(self, book: str) -> None:
        copy = self.primary.dump(book)
        self.mirror.load_copy(book, copy)
        self._known[book] = copy.marks
        base = self._base_path(book)
        with refusing(base):
            base.unlink(missing_ok=True)

    def _rebuilt(self, ours: BookCopy, theirs: BookCopy) -> BookCopy:
        """Return our copy as a new generation, which contains nothing of what is there."""
        lineage = dict(ours.lineage) | {ours.marks.generation: ours.whole}
        if theirs.marks.generation not in ("", ours.marks.generation):
            lineage.setdefault(theirs.marks.generation, 0)
        kept = dict(list(lineage.items())[-MOST_ANCESTORS:])
        revision = max(ours.marks.revision, theirs.marks.revision) + 1
        marks = BookMarks(_new_generation(), revision, ours.marks.lease)
        return replace(ours, marks=marks, lineage=kept)

    def _merged(
        self, book: str, ours: BookCopy, theirs: BookCopy, owed: list[Entry]
    ) -> BookCopy | None:
        """Return what Redis shall have; None if it has that already."""
        if ours.marks[:2] == theirs.marks[:2] and ours.whole == ours.marks.revision:
            if not owed:
                return None
            # Nobody else changed it.
            result = Merged(ours.state, ours.applied)
        else:
            base = self._read_base(book, ours.marks) or ours
            result = merge(base, ours, theirs, self._changes(book, theirs, owed))
            self._note_stopped(book, ours, result)
        if (result.state, result.applied) == (theirs.state, theirs.applied):
            return None
        marks = BookMarks(
            theirs.marks.generation or _new_generation(),
            theirs.marks.revision + 1,
            theirs.marks.lease or ours.marks.lease,
        )
        return replace(theirs, state=result.state, applied=result.applied, marks=marks)

    def _changes(self, book: str, theirs: BookCopy, owed: list[Entry]) -> Iterator[Change]:
        """Yield what Redis had once and may lack now, and then what it never had."""
        for entry in self._recent(self._last_well(book) - DOUBT_SECONDS):
            if entry.kind == KIND and entry.body[0] == book and _may_lack(theirs, entry):
                yield _change(entry, was_there=True)
        for entry in owed:
            yield _change(entry, was_there=False)

    def _last_well(self, book: str) -> float:
        """Return when this host last was well informed of a book by Redis."""
        moments = [time.time(), self.mirror.changed_at(book)]
        if self._flag.exists():
            moments.append(self._flag.stat().st_mtime)
        return max(min(moments), time.time() - KEPT_SECONDS)

    def _recent(self, moment: float) -> list[Entry]:
        if not self._journalled or self._journalled[0] > moment:
            self._journalled = (moment, self.outbox.journal.since(moment))
        return [one for one in self._journalled[1] if one.stamp >= moment * 1e9]

    def _note_stopped(self, book: str, ours: BookCopy, result: Merged) -> None:
        if result.stopped:
            position_conflicts.note(
                self._directory,
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
        return self._directory / "bases" / f"{quote(book, safe='')}.json"

    def _read_base(self, book: str, marks: BookMarks) -> BookCopy | None:
        """Return the book as it was before the outage; None if what is kept is of another one."""
        document = read_document(self._base_path(book))
        base = position_entries.from_document(document) if document else None
        return base if base is not None and base.marks == marks else None

    # --- following --------------------------------------------------------------------------

    def _copy_changed(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for book in dict.fromkeys(entry.body[0] for entry in entries):
            own = [entry for entry in entries if entry.body[0] == book]
            if self.copy(book):
                yield [entry for entry in own if entry.body[1] is not None]

    def copy(self, book: str) -> bool:
        """Copy a book from Redis into the files; False while the host is on the files."""
        with self.host_lock():
            if self._flag.exists():
                return False
            copy = self.breaker.call(self.primary.dump, book)
            known = self.mirror.read_copy(book)
            if not _is_lost(copy.marks, known.marks):
                self.mirror.load_copy(book, copy)
                return True
            if self._settle(book, [], may_rebuild=False):
                return True
            if self._is_ours(known.marks):
                self._raise_flag(Unavailable(self.primary.component, f"it has lost book {book}"))
            return False

    def follow(self) -> None:
        """Copy the books that somebody else changed."""
        if self._flag.exists():
            return
        mirrored = self.mirror.list_books()
        found = self.breaker.call(self.primary.read_all_marks, mirrored)
        for book, marks in found.items():
            ours = self.mirror.read_marks(book)
            if marks != ours and (marks.revision or ours.generation):
                self.copy(book)

    # --- by a person ------------------------------------------------------------------------

    def claim(self, book: str) -> str:
        """Take the lease of a book for this host; return who held it, "" for nobody."""
        known = self.known_marks(book)
        marks = self.breaker.call(self.primary.read_marks, book)
        if not marks.generation and not known.generation:
            raise NotFound(f"there is no book {book!r}")
        holder = self.breaker.call(self.primary.claim, book, self.host)
        marks = self.primary.answered.marks
        body = position_entries.to_body(book, marks, position_entries.CLAIM, {"host": self.host})
        self.outbox.append(KIND, body, marks=(True, False))
        with self.host_lock():
            copy = self.mirror.read_copy(book)
            if copy.marks.generation:
                generation, revision, _ = copy.marks
                ours = BookMarks(generation, revision, self.host)
                self.mirror.set_marks(book, ours, copy.whole, copy.lineage)
        self._known.pop(book, None)
        self.copy(book)
        self.outbox.wake()
        return holder or known.lease

    def resolve(self, book: str, code: str, *, keep_host: bool) -> BookState:
        """Decide a code that stopped, once Redis can be written; return the book before."""
        with self.host_lock():
            conflict = position_conflicts.find(self._directory, book, code)
            if self._flag.exists():
                raise Unavailable(self.primary.component, "this host still works on its files")
            before = self.breaker.call(self.primary.dump, book)
            if keep_host:
                self._put_back(book, before, conflict)
            position_conflicts.drop(self._directory, book, code)
        return before.state

    def _put_back(self, book: str, theirs: BookCopy, conflict: PositionConflict) -> None:
        while True:
            positions = dict(theirs.state.positions)
            state = _moved_on(conflict, positions.pop(conflict.code, None))
            if state is not None:
                positions[conflict.code] = state
            generation, revision, lease = theirs.marks
            marks = BookMarks(generation, revision + 1, lease)
            wanted = replace(theirs, state=replace(theirs.state, positions=positions), marks=marks)
            if self.breaker.call(self.primary.load, book, wanted, theirs.marks):
                self._take_over(book)
                return
            theirs = self.breaker.call(self.primary.dump, book)


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


def _revision(entry: Entry) -> int:
    marks = position_entries.marks_of(entry.body)
    return 0 if marks is None else marks.revision


def _follows(entry: Entry, ours: BookMarks) -> bool:
    """Tell whether the files lack what the entry led to."""
    marks = position_entries.marks_of(entry.body) or ours
    return marks.revision > ours.revision and ours.generation in ("", marks.generation)


def _new_generation() -> str:
    return f"{int(time.time())}.{secrets.token_hex(4)}"


def _is_lost(theirs: BookMarks, ours: BookMarks) -> bool:
    """Tell whether the server's copy is older than ours, or begun anew."""
    if not ours.generation:
        return False
    return theirs.generation != ours.generation or theirs.revision < ours.revision
