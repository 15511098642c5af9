"""What the journal of this host has not brought everywhere yet, read a segment at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from storage_app.stores import position_entries, trade_entries
from storage_app.stores.journal import PRIMARY, Marks
from storage_app.stores.journal_segments import SUFFIX, Cursor, Damage, Frame, Place, refusing
from storage_app.stores.mirrored_reads import CAPITAL

# A younger segment may be within a write, which is no damage.
QUIET_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that a server or the files do not have; `stamp` is nanoseconds since 1970."""

    place: Place
    stamp: int
    kind: str
    body: Any
    marks: Marks

    @property
    def is_owed(self) -> bool:
        """Tell whether a server waits for it; else only the files do."""
        return not self.marks[PRIMARY]

    @property
    def books(self) -> list[str]:
        """Return the book, or the accounts, that the entry is about."""
        match self.kind:
            case position_entries.KIND:
                return [self.body[0]]
            case trade_entries.KIND:
                return sorted(
                    {trade.account_id for trade in map(trade_entries.to_trade, self.body)}
                )
            case trade_entries.CONFLICT:
                return [trade_entries.to_trade(self.body[0]).account_id]
            case _:
                return [str(self.body[0])]


def read(directory: Path) -> Iterator[Pending]:
    for path in _segments(directory):
        frames, _ = _read(path, thoroughly=False)
        yield from (_pending(frame) for frame in frames if not all(frame.marks))


def read_damage(directory: Path) -> Iterator[Damage]:
    for path in _segments(directory):
        _, damage = _read(path, thoroughly=True)
        yield from damage


def books(directory: Path) -> set[str]:
    """Return the books with changes that Redis or the files do not have yet."""
    return {one.body[0] for one in read(directory) if one.kind == position_entries.KIND}


def trade_uids(directory: Path) -> set[str]:
    """Return the uids of trades that ClickHouse or the files do not have yet."""
    return {
        trade_entries.to_trade(body).trade_uid
        for one in read(directory)
        if one.kind == trade_entries.KIND
        for body in one.body
    }


def capital_accounts(directory: Path) -> set[str]:
    return {one.body[0] for one in read(directory) if one.kind == CAPITAL}


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{SUFFIX}"))


def _read(path: Path, *, thoroughly: bool) -> tuple[list[Frame], list[Damage]]:
    """Return what a segment holds; nothing of one that was swept in the meantime."""
    with refusing(path):
        try:
            is_quiet = time.time() - path.stat().st_mtime > QUIET_SECONDS
            return Cursor(path).read(thoroughly=thoroughly and is_quiet)
        except FileNotFoundError:
            return [], []


def _pending(frame: Frame) -> Pending:
    kind, body = json.loads(frame.payload)
    return Pending(frame.place, frame.stamp, str(kind), body, frame.marks)
