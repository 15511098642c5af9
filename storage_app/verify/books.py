"""Books of positions as they stand in the files, read without touching them.

The store that owns the files finishes what a dead process left, and takes a lock to do so; a
comparison must not. It reads the same truth: what `pending.json` holds replaces the files.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from storage_app.contract.arguments import parse_date
from storage_app.contract.errors import Corrupt, InvalidInput, Unavailable
from storage_app.contract.types import BookState
from storage_app.stores.file import book_documents as files
from storage_app.stores.file.documents import read_document
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.host import known_host_name

DOCUMENTS: Final = (files.POSITIONS, files.MAX_PRICES, files.MIN_PRICES, files.APPLIED)
_PENDING: Final = "pending.json"
_READ_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class FileBook:
    """A book in the files, with the server's revision that it mirrors."""

    directory: Path
    exists: bool
    state: BookState
    applied: dict[str, date]
    revision: int
    generation: str

    @property
    def marks(self) -> tuple[str, int]:
        return self.generation, self.revision


def read_book(data_dir: Path, book: str) -> FileBook:
    """Return a book of one moment; Corrupt names the file that cannot be believed."""
    directory = data_dir / "books" / book
    documents = _read_documents(directory)
    marks = documents[files.POSITIONS]
    path = directory / files.APPLIED
    try:
        applied = {key: parse_date(day) for key, day in documents[files.APPLIED].items()}
    except InvalidInput as exc:
        raise Corrupt(path, str(exc)) from exc
    try:
        revision = int(marks.get(files.REVISION, 0))
    except (TypeError, ValueError) as exc:
        raise Corrupt(directory / files.POSITIONS, f"{files.REVISION}: {exc}") from exc
    return FileBook(
        directory,
        any(documents.values()),
        files.parse_book(directory, documents),
        applied,
        revision,
        str(marks.get(files.GENERATION, "")),
    )


def accounts_of_other_hosts(data_dir: Path) -> dict[str, str]:
    """Return the accounts that another host trades, with its name: it holds all their leases.

    A book that cannot be read counts as ours, since it has to be looked at.
    """
    own = known_host_name(data_dir / "journal")
    holders: dict[str, set[str]] = {}
    for book in FilePositions(data_dir).list_books():
        try:
            document = _read_documents(data_dir / "books" / book)[files.POSITIONS]
            holder = files.parse_marks(document).lease
        except Corrupt:
            holder = own
        holders.setdefault(book.partition("/")[0], set()).add(holder)
    return {
        account: sorted(hosts)[0] for account, hosts in holders.items() if not hosts & {"", own}
    }


def _read_documents(directory: Path) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + _READ_SECONDS
    while True:
        before = _stamps(directory)
        documents = {name: read_document(directory / name) for name in DOCUMENTS}
        documents |= read_document(directory / _PENDING)
        if _stamps(directory) == before:
            return documents
        if time.monotonic() > deadline:
            raise Unavailable("file", f"{directory} does not stand still")
        time.sleep(_POLL_SECONDS)


def _stamps(directory: Path) -> list[tuple[int, int, int] | None]:
    return [_stamp(directory / name) for name in (*DOCUMENTS, _PENDING)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
