"""Make a backup: everything there is, in one directory that is whole or is none.

The journal is read before the servers, so that what was acknowledged is in one of them or in
both; each server shows its own moment, since no transaction spans them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from storage_app.backup import hosts, manifest, market, relational, unfinished
from storage_app.backup.manifest import Manifest, Part
from storage_app.contract.errors import InvalidInput
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.models import Report, ReportKind
from storage_app.services.actors import Actor
from storage_app.stores.file.documents import locked, make_directory, refusing, sync_directory
from storage_app.stores.orm import translating
from trades_app import copies
from trades_app.market import clock

DIRECTORY: Final = "backups"
PART: Final = ".part"
KEEP: Final = 14
_NAME: Final = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    manifest: Manifest
    removed: list[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "created_at": self.manifest.created_at.isoformat(),
            "size": self.manifest.size,
            "counts": self.manifest.count(),
            "removed": self.removed,
        }


def back_up(
    data_dir: Path,
    actor: Actor,
    *,
    keep: int = KEEP,
    batch_rows: int = copies.BATCH_ROWS,
    watch: Watch = UNWATCHED,
) -> Backup:
    """Write a backup below DATA_DIR/backups and remove all but the newest `keep`."""
    if keep < 1:
        raise InvalidInput(f"{keep} backups to keep: keep at least 1")
    unfinished.refuse(data_dir)
    started_at = clock.now()
    root = data_dir / DIRECTORY
    with _alone(root):
        hosts.settle(data_dir)
        path = root / f"{started_at:{_NAME}}"
        with _becoming(path) as draft, translating():
            parts = list(_parts(draft, data_dir, batch_rows, watch))
            made = Manifest(started_at, schema(), parts)
            manifest.write(draft, made)
        backup = Backup(path, made, _remove_old(root, keep))
    with translating():
        _report(backup, actor, started_at)
    return backup


def list_backups(data_dir: Path) -> list[Path]:
    """Return the whole backups, newest first."""
    found = (data_dir / DIRECTORY).glob(f"*/{manifest.NAME}")
    return sorted((path.parent for path in found if _is_whole(path.parent)), reverse=True)


def schema() -> dict[str, list[str]]:
    """Return the migrations that made the tables, by database."""
    return {
        alias: sorted(
            f"{app}.{name}"
            for app, name in MigrationRecorder(connections[alias]).applied_migrations()
            if (app == "trades_app") == (alias == "clickhouse")
        )
        for alias in ("default", "clickhouse")
    }


def _parts(root: Path, data_dir: Path, batch_rows: int, watch: Watch) -> Iterator[Part]:
    yield hosts.dump_journal(root, data_dir)
    yield from hosts.dump_calendar(root, data_dir)
    yield hosts.dump_positions(root, watch)
    yield from relational.dump(root, watch)
    yield from market.dump(root, batch_rows, watch)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep a second backup out, and clear away what one that died has left."""
    make_directory(root)
    # Hashes of passwords and keys of second factors are in it.
    root.chmod(0o700)
    with locked(root / "making"):
        for left in root.glob(f"*{PART}"):
            shutil.rmtree(left)
        yield


@contextmanager
def _becoming(path: Path) -> Iterator[Path]:
    """Yield a directory that gets its name once everything in it is on the medium."""
    draft = path.with_name(f"{path.name}{PART}")
    if path.exists():
        raise InvalidInput(f"{path} is there already")
    make_directory(draft)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    for directory in {one.parent for one in draft.rglob("*")} | {draft}:
        sync_directory(directory)
    with refusing(path):
        draft.replace(path)
    sync_directory(path.parent)


def _remove_old(root: Path, keep: int) -> list[str]:
    old = list_backups(root.parent)[keep:]
    for path in old:
        # Renamed first, so that a half-removed one is none either.
        gone = path.with_name(f"{path.name}{PART}")
        path.replace(gone)
        shutil.rmtree(gone)
    return [path.name for path in old]


def _is_whole(path: Path) -> bool:
    try:
        datetime.strptime(path.name, _NAME)  # noqa: DTZ007, a name only
    except ValueError:
        return False
    return True


def _report(backup: Backup, actor: Actor, started_at: datetime) -> None:
    Report.objects.create(
        kind=ReportKind.BACKUP,
        started_at=started_at,
        finished_at=clock.now(),
        is_clean=True,
        actor=actor.name,
        summary=backup.as_json(),
    )
