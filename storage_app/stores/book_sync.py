"""How the files of a host and Redis are brought together, book by book.

While Redis is well its books are copied into the files, also those that other hosts change. When
it fails, or has lost a book, the host goes to the files: a flag beside the journal says so to
every process of the host, after the files were brought up to the last entry of the journal. When
it is back, what the host changed meanwhile is brought there (`settling.py`), and the host leaves
the files. A book that Redis has lost is rebuilt by the host that holds its lease; the others wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Final

from storage_app.contract.errors import NotFound, Unavailable
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookMarks, BookState
from storage_app.stores import position_conflicts, position_entries
from storage_app.stores.breaker import Breaker
from storage_app.stores.file.documents import locked
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.host import host_name
from storage_app.stores.journal import MIRROR, PRIMARY, Entry
from storage_app.stores.outbox import Outbox
from storage_app.stores.redis import Connections, RedisPositions
from storage_app.stores.settling import Settlement, is_lost

logger = logging.getLogger(__name__)

KIND: Final = position_entries.KIND
RETURN_SECONDS: Final = 0.1
# Between two looks at what others change; with the copying it stays below 5 s.
FOLLOW_SECONDS: Final = 2.0
# Until a host adds what it had done to a book that another one holds and does not rebuild.
PATIENCE_SECONDS: Final = 10.0


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
        self.settlement = Settlement(primary, mirror, outbox.journal)
        self._directory = outbox.journal.directory
        self._flag = self._directory / "positions.on_files"
        self._raising = self._directory / "positions.to_files"
        self._known: dict[str, BookMarks] = {}
        # Books that wait for another host, with the moment since when.
        self._waiting: dict[str, tuple[float, BookMarks]] = {}
        self._was_on_files = False
        self._connections = Connections.made
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
        if self._flag.exists():
            self._was_on_files = True
            return True
        if self._was_on_files:
            self._was_on_files = False
            self._learn()
        return False

    def _learn(self) -> None:
        """Know what other processes of the host have been told, or have brought to Redis."""
        for book, known in list(self._known.items()):
            marks = self._noted_marks(book)
            is_later = marks.generation != known.generation or marks.revision > known.revision
            if marks.generation and is_later:
                self._known[book] = marks

    def host_lock(self) -> AbstractContextManager[None]:
        return locked(self._flag)

    # --- what is known of Redis -------------------------------------------------------------

    def believe(self, book: str, marks: BookMarks | None) -> bool:
        """Raise Unavailable when Redis shows less than it has shown before.

        False: what was shown was old, or the book was brought up to date since.
        """
        if not book or marks is None or not self.keeps_files:
            return True
        if self._connections != Connections.made:
            # To a server that may be older than what this host was told by the one before.
            self._connections = Connections.made
            self._learn()
        known = self.known_marks(book)
        if not is_lost(marks, known):
            self._known[book] = marks
            return True
        if not self._is_well_after_all(book, known):
            self._refuse(book, known, marks)
        return False

    def _is_well_after_all(self, book: str, known: BookMarks) -> bool:
        """Look again: the answer may have been overtaken, or another host has rebuilt the book."""
        now = self.breaker.call(self.primary.read_marks, book)
        if not is_lost(now, known):
            self._known[book] = now
            return True
        if not now.generation or now.generation == known.generation:
            return False
        with self.host_lock():
            self.settlement.begin()
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
            known = self._noted_marks(book) if self.keeps_files else BookMarks()
            self._known[book] = known
        return known

    def _noted_marks(self, book: str) -> BookMarks:
        """Return what the files stand for, or later, what the journal has and they have not."""
        marks = self.mirror.read_marks(book)
        for entry in self.outbox.owed(KIND, MIRROR):
            if entry.body[0] == book and position_entries.follows(entry.body, marks):
                marks = position_entries.marks_of(entry.body) or marks
        return marks

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
            # Whoever notes a change from now on brings it to the files before it returns.
            self._raising.touch()
            self.catch_up()
            self._flag.touch()
            self._raising.unlink(missing_ok=True)
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

    def note_done(self) -> None:
        """Bring a change that was noted to the files, if the host works on them by now."""
        if self._raising.exists() or self._flag.exists():
            with self.host_lock():
                # One that is left was a dead process's.
                self._raising.unlink(missing_ok=True)
                if self._flag.exists():
                    self.catch_up()

    def answer_from_files(self) -> None:
        """Have the files answer for a book that another host has to bring back."""
        # What this host was told before the loss may not have come to the files yet.
        if self.outbox.owed(KIND, MIRROR):
            with self.host_lock():
                self.catch_up()

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
            for group in position_entries.by_revision(stored):
                own = [one for one in group if position_entries.follows(one.body, marks)]
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
        if not self.is_on_files():
            return
        self.breaker.check()
        with self.host_lock():
            self.catch_up()
            owed = self.outbox.owed(KIND, PRIMARY)
            self.settlement.begin()
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

    def _has_waited(self, book: str, marks: BookMarks) -> bool:
        """Tell whether a book has been older than it was for so long that the host that holds
        it, and rebuilds it at once, seems not to know of what was lost."""
        since, known = self._waiting.get(book, (0.0, marks))
        if not since or known != marks:
            self._waiting[book] = (time.monotonic(), marks)
            return False
        return time.monotonic() - since > PATIENCE_SECONDS

    def _settle(
        self,
        book: str,
        owed: list[Entry],
        *,
        may_rebuild: bool = True,
        may_mend: bool = False,
    ) -> bool:
        """Make Redis and the files agree on a book; the host lock is held.

        False if Redis has lost the book and it is not for this host, or not now, to rebuild it.
        """
        ours = self.mirror.read_marks(book)
        if not owed and not ours.generation:
            return True  # left by file mode, and no mirror of anything
        may_rebuild = may_rebuild and (bool(owed) or self._is_ours(ours))
        marks = self.settlement.settle(
            book, owed, self.outage(), may_rebuild=may_rebuild, may_mend=may_mend
        )
        if marks is None:
            return False
        self._known[book] = marks
        self.outbox.journal.mark(owed, PRIMARY)
        return True

    def outage(self) -> int:
        """Return when this host went to its files, in nanoseconds since 1970; 0 if it did not."""
        try:
            return self._flag.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

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
            noted = self._noted_marks(book)
            copy = self.breaker.call(self.primary.dump, book)
            if is_lost(copy.marks, noted):
                # A copy would take the place of what only the journal still has.
                self.catch_up()
            known = self.mirror.read_copy(book)
            if not is_lost(copy.marks, known.marks):
                self._waiting.pop(book, None)
                self.mirror.load_copy(book, copy)
                return True
            self.settlement.begin()
            may_mend = self._has_waited(book, known.marks)
            if self._settle(book, [], may_rebuild=False, may_mend=may_mend):
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

    def restore(self, book: str) -> None:
        """Make the book in Redis what the files have, as a new generation."""
        with self.host_lock():
            self._refuse_on_files()
            self.catch_up()
            self._known[book] = self.breaker.call(self.settlement.restore, book)

    def _refuse_on_files(self) -> None:
        if self._flag.exists():
            raise Unavailable(self.primary.component, "this host still works on its files")

    def resolve(self, book: str, code: str, *, keep_host: bool) -> BookState:
        """Decide a code that stopped, once Redis can be written; return the book before."""
        with self.host_lock():
            conflict = position_conflicts.find(self._directory, book, code)
            self._refuse_on_files()
            before = self.breaker.call(self.primary.dump, book)
            if keep_host:
                self.breaker.call(self.settlement.decide, conflict)
            position_conflicts.drop(self._directory, book, code)
        return before.state
