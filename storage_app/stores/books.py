"""What a person decides about the books of a host: who holds their lease, which side counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from storage_app.contract.types import PositionState
from storage_app.stores import position_conflicts
from storage_app.stores.book_sync import BookSync
from storage_app.stores.compose import ComposedStore, open_platform_store
from storage_app.stores.mirrored_positions import MirroredPositions


def claim(data_dir: Path, book: str) -> tuple[str, str]:
    """Take the lease of a book for the host of `data_dir`; return who held it, and the host.

    Unavailable while Redis is down, since a lease moves there only; NotFound without the book.
    """
    with _sync(data_dir) as sync:
        return sync.claim(book), sync.host


def resolve(
    data_dir: Path, book: str, code: str, *, keep_host: bool
) -> tuple[PositionState | None, PositionState | None]:
    """Decide a code that stopped; return the position before and after.

    Unavailable while Redis is down, NotFound if nothing waits for a decision.
    """
    with _sync(data_dir) as sync:
        before = sync.resolve(book, code, keep_host=keep_host)
        after = sync.primary.read_book(book)
        return before.positions.get(code), after.positions.get(code)


def restore(data_dir: Path, book: str) -> None:
    """Make the book in Redis what the files of this host have, whatever stands there.

    Unavailable while Redis is down or this host has changes that are owed to it.
    """
    with _sync(data_dir) as sync:
        sync.restore(book)


def stopped(data_dir: Path) -> list[position_conflicts.PositionConflict]:
    return position_conflicts.listed(data_dir / "journal")


@contextmanager
def _sync(data_dir: Path) -> Iterator[BookSync]:
    store = cast("ComposedStore", open_platform_store(data_dir))
    try:
        yield cast("MirroredPositions", store.positions).sync
    finally:
        store.close()
