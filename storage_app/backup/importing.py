"""An export of `export_data --to files` comes back: what is missing is added, nothing replaced.

The files are checked against `export.json` first. Each row is new, the same as what stands, or
rejected with both values named; afterwards everything is compared once more, so that a second
run, or the verification of this one, finds nothing new. People, permissions and the audit trail
are no part of an export; backups hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from storage_app.backup import entities, exporting, frames
from storage_app.backup import manifest as manifests
from storage_app.backup.scope import Scope
from storage_app.backup.tally import Tally
from storage_app.contract.errors import Conflict, Corrupt, InvalidInput
from storage_app.contract.types import BookCopy, BookMarks, BookState, Trade, WriteCount
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.services.actors import Actor
from storage_app.stores import trade_rows
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.file.documents import atomic_write_bytes, read_document
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.orm import translating
from storage_app.stores.redis import RedisPositions
from storage_app.stores.settling import new_generation
from trades_app.market import calendar

_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """An export that comes in, and how."""

    root: Path
    data_dir: Path
    scope: Scope
    actor: Actor
    batch_rows: int = _BATCH
    dry_run: bool = False
    watch: Watch = field(default=UNWATCHED)


def import_data(source: Source) -> list[Tally]:
    """Import and verify; return what was done, kind by kind."""
    check(source.root, source.watch)
    with translating():
        done = list(_steps(source))
        if source.dry_run:
            return done
        again = list(_steps(replace(source, dry_run=True, watch=UNWATCHED)))
    for first, second in zip(done, again, strict=True):
        if second.new:
            raise Corrupt(
                source.root, f"{second.new} {first.kind} do not stand as the export has them"
            )
    return done


def check(root: Path, watch: Watch) -> None:
    """Raise Corrupt, naming the file, unless the export is what was written."""
    path = root / exporting.NAME
    if not path.exists():
        raise InvalidInput(f"{root} is not a whole export: it has no {exporting.NAME}")
    document = read_document(path)
    if document.get("form") != exporting.FILES:
        raise InvalidInput(f"{root} is an export to {document.get('form')}; only files come back")
    files = document["files"]
    for number, (name, expected) in enumerate(sorted(files.items()), start=1):
        if not (root / name).is_file():
            raise Corrupt(root / name, "the file is missing")
        if manifests.checksum(root / name)[0] != expected:
            raise Corrupt(root / name, f"its SHA-256 is not {expected}, which was written")
        watch.step(_("checksums"), number, len(files))


def _steps(source: Source) -> Iterator[Tally]:
    """Trading days come first, since all else is judged by them, and strategies before accounts."""
    yield _import_calendar(source)
    yield entities.import_strategies(source.root, source.actor, dry_run=source.dry_run)
    yield from entities.import_accounts(
        source.root, source.scope, source.actor, dry_run=source.dry_run
    )
    yield _import_books(source)
    yield _import_trades(source)
    yield frames.import_bars(source.root, source.scope, source.watch, dry_run=source.dry_run)
    yield frames.import_factors(source.root, dry_run=source.dry_run)


def _import_calendar(source: Source) -> Tally:
    tally = Tally("trading days")
    path, target = source.root / "calendar.csv", source.data_dir / "calendar.csv"
    if not path.exists():
        return tally
    ours = set(calendar.read_days(target)) if target.exists() else set()
    theirs = set(calendar.read_days(path))
    if ours and ours != theirs:
        differing = ", ".join(f"{day}" for day in sorted(ours ^ theirs)[:3])
        reason = f"{path}: {target} has other days ({differing} …); import_calendar merges"
        tally.reject(reason, len(theirs))
    elif ours:
        tally.same = len(theirs)
    else:
        tally.new = len(theirs)
        if not source.dry_run:
            atomic_write_bytes(target, path.read_bytes())
    return tally


def _import_books(source: Source) -> Tally:
    tally = Tally("books")
    files, store = FilePositions(source.root), RedisPositions()
    for book in files.list_books():
        if not source.scope.has(book.partition("/")[0]):
            continue
        theirs, ours = files.read_copy(book), store.dump(book)
        if ours.state == theirs.state:
            tally.same += 1
        elif ours.state == BookState():
            tally.new += 1
            if not source.dry_run:
                _load_book(store, book, theirs, ours.marks)
        else:
            tally.reject(f"book {book}: {_describe(ours.state, theirs.state)}")
    return tally


def _load_book(store: RedisPositions, book: str, copy: BookCopy, seen: BookMarks) -> None:
    """Put the positions of a file into a book that has none, whose lease stays where it is."""
    generation = seen.generation or new_generation()
    marks = BookMarks(generation, seen.revision + 1, seen.lease)
    if not store.load(book, BookCopy(copy.state, copy.applied, marks), seen):
        raise Conflict(f"book {book} is being changed; import it again when nobody trades it")


def _describe(ours: BookState, theirs: BookState) -> str:
    codes = ours.positions.keys() | theirs.positions.keys()
    for code in sorted(codes):
        pair = ours.positions.get(code), theirs.positions.get(code)
        if pair[0] != pair[1]:
            return f"{code} stands as {pair[0]}, the export has {pair[1]}"
    return f"last increment {ours.increment_date}, the export has {theirs.increment_date}"


def _import_trades(source: Source) -> Tally:
    tally = Tally("trades")
    files, store = FileTrades(source.root), ClickHouseTrades()
    root = source.root / "trades"
    accounts = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    for account in filter(source.scope.has, accounts):
        rows = files.read_since(account, source.scope.since or date.min)
        wanted = (one for one in rows if source.scope.has_day(one.trade_date))
        for batch in _batches(wanted, source.batch_rows):
            _write(store, batch, tally, dry_run=source.dry_run)
            source.watch.step(_("trades"), tally.read)
    return tally


def _write(store: ClickHouseTrades, batch: Sequence[Trade], tally: Tally, *, dry_run: bool) -> None:
    try:
        count = _count(store, batch) if dry_run else store.write_trades(batch)
    except Conflict as exc:
        _write_each(store, batch, tally, exc, dry_run=dry_run)
        return
    tally.new += count.new
    tally.same += count.same


def _count(store: ClickHouseTrades, batch: Sequence[Trade]) -> WriteCount:
    stored = store.find_trades(batch)
    new = trade_rows.select_new([trade_rows.normalised(one) for one in batch], stored)
    return WriteCount(len(new), len(batch) - len(new))


def _write_each(
    store: ClickHouseTrades, batch: Sequence[Trade], tally: Tally, error: Conflict, *, dry_run: bool
) -> None:
    """Bring in what the one row that contradicts the ledger has kept out."""
    if len(batch) == 1:
        tally.reject(f"trade {batch[0].trade_uid}: {error}")
        return
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        _write(store, half, tally, dry_run=dry_run)


def _batches(rows: Iterator[Trade], size: int) -> Iterator[list[Trade]]:
    batch: list[Trade] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def as_document(tallies: Sequence[Tally]) -> dict[str, Any]:
    return {one.kind: one.as_json() for one in tallies}
