"""What lies on this host and in Redis: books of positions, the journal, trading days."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from storage_app.backup import manifest
from storage_app.backup.lines import read_documents, write_documents
from storage_app.backup.manifest import Part
from storage_app.contract.errors import Corrupt, Unavailable
from storage_app.contract.watching import Watch
from storage_app.stores import journal
from storage_app.stores.draining import drain
from storage_app.stores.file.documents import atomic_write_bytes, refusing
from storage_app.stores.redis_copies import Keys, RedisCopies, is_same

POSITIONS: Final = "positions"
JOURNAL: Final = "journal"
CALENDAR: Final = "calendar"
_CALENDAR_FILE: Final = "calendar.csv"
_FLAG: Final = "positions.on_files"
DRAIN_SECONDS: Final = 20.0


def settle(data_dir: Path) -> None:
    """Bring owed writes to the servers; Unavailable while this host works on its files."""
    drain(data_dir, DRAIN_SECONDS)
    if (data_dir / "journal" / _FLAG).exists():
        raise Unavailable("redis", "the positions of this host are on its files until it is back")


def dump_journal(root: Path, data_dir: Path) -> Part:
    """Write every entry that is kept. Damage in the journal stays there as evidence."""
    path = root / "journal.jsonl"
    entries, _damage = journal.inspect(data_dir / "journal")
    rows = write_documents(path, map(_entry, entries))
    return manifest.describe(root, path, JOURNAL, rows)


def load_journal(root: Path, parts: Iterable[Part], data_dir: Path) -> int:
    """Owe again what was owed when the backup was made; sending it twice does no harm."""
    owed = 0
    own = journal.Journal(data_dir / "journal")
    try:
        for part in parts:
            for entry in read_documents(root / part.path):
                is_sent, _is_mirrored = entry["marks"]
                # Positions came as whole books, which hold what their entries led to.
                if not is_sent and entry["kind"] != POSITIONS:
                    own.append(entry["kind"], entry["body"])
                    owed += 1
    finally:
        own.close()
    return owed


def dump_positions(root: Path, watch: Watch) -> Part:
    path = root / "positions.jsonl"
    rows = write_documents(path, _books(watch))
    return manifest.describe(root, path, POSITIONS, rows)


def load_positions(root: Path, parts: Iterable[Part], watch: Watch) -> None:
    """Make the books equal to their copies and close those that the backup does not have."""
    store = RedisCopies()
    obsolete = set(store.books())
    for part in parts:
        for number, line in enumerate(read_documents(root / part.path), start=1):
            _load_book(store, line["book"], line["keys"])
            obsolete.discard(line["book"])
            watch.step(_("books of positions"), number, part.rows)
    for book in sorted(obsolete):
        store.empty(book)


def _load_book(store: RedisCopies, book: str, keys: Keys) -> None:
    # One that a run has written which died keeps its revision.
    if not is_same(store.read(book), keys, book):
        store.write(book, keys)


def verify_positions(root: Path, parts: Iterable[Part]) -> None:
    store = RedisCopies()
    for part in parts:
        for line in read_documents(root / part.path):
            if not is_same(store.read(line["book"]), line["keys"], line["book"]):
                raise Corrupt(root / part.path, f"book {line['book']} stands otherwise in Redis")


def dump_calendar(root: Path, data_dir: Path) -> Iterator[Part]:
    source = data_dir / _CALENDAR_FILE
    if source.exists():
        path = root / _CALENDAR_FILE
        with refusing(path):
            shutil.copyfile(source, path)
        with path.open(encoding="utf-8-sig") as stream:
            rows = sum(1 for _line in stream) - 1  # the header is none
        yield manifest.describe(root, path, CALENDAR, rows)


def load_calendar(root: Path, parts: Iterable[Part], data_dir: Path) -> None:
    for part in parts:
        atomic_write_bytes(data_dir / _CALENDAR_FILE, (root / part.path).read_bytes())


def _books(watch: Watch) -> Iterator[Any]:
    for number, (book, keys) in enumerate(RedisCopies().read_all(), start=1):
        yield {"book": book, "keys": keys}
        watch.step(_("books of positions"), number)


def _entry(entry: journal.Entry) -> Any:
    document = asdict(entry)
    del document["place"]
    return document
