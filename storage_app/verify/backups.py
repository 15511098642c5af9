"""Backups: the newest one that is whole was made after the last close of the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Final

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_noop

from storage_app.contract.errors import Corrupt
from storage_app.stores.file.documents import read_document, refusing
from storage_app.verify.differences import Difference, Kind, Problem, Side, damaged
from storage_app.verify.scope import Examination
from trades_app.market import calendar, clock

MANIFEST: Final = "manifest.json"
UNFINISHED: Final = ".part"
CLOSE: Final = time(15)
# The job runs at 18:00; by now it should be done.
EXPECTED_BY: Final = time(19, 30)


def compare(exam: Examination) -> Iterator[Difference]:
    directory = exam.scope.data_dir / "backups"
    newest: tuple[datetime, Path] | None = None
    for path in sorted(directory.glob(f"*/{MANIFEST}")):
        if path.parent.suffix == UNFINISHED:
            continue
        exam.counts["backups"] += 1
        try:
            made = _read(path)
        except Corrupt as exc:
            yield damaged(Kind.BACKUPS, exc, path.parent.name)
            continue
        if newest is None or made > newest[0]:
            newest = (made, path)
    due = last_close()
    if newest is not None and newest[0] >= due:
        return
    if not exam.counts["backups"] and _set_up_at() >= due:
        exam.note(
            gettext_noop("There is no backup yet; the platform is younger than the last close.")
        )
        return
    left = Side(str(directory if newest is None else newest[1]), newest and newest[0])
    right = Side("last close", due)
    problem = Problem.MISSING if newest is None else Problem.OUTDATED
    yield Difference(Kind.BACKUPS, problem, "backup", "created_at", left, right)


def last_close() -> datetime:
    """Return the last close of the exchange after which a backup has had its time."""
    now = clock.now()
    day = now.date()
    if not calendar.is_trading_day(day) or now.time() < EXPECTED_BY:
        day = calendar.previous_trading_day(day)
    return datetime.combine(day, CLOSE, clock.SHANGHAI)


def _read(path: Path) -> datetime:
    """Return when a backup was made; Corrupt if a file of it is missing or has another size.

    The contents are proved when it is restored: reading all of them each night takes too long.
    """
    document = read_document(path)
    try:
        made = datetime.fromisoformat(document["created_at"])
        for part in document.get("parts", ()):
            _check_part(path.parent / part["path"], int(part["size"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise Corrupt(path, f"{type(exc).__name__} {exc}") from exc
    return clock.in_shanghai(made)


def _check_part(path: Path, size: int) -> None:
    with refusing(path):
        found = path.stat().st_size if path.is_file() else None
    if found is None:
        raise Corrupt(path, "the file is missing")
    if found != size:
        raise Corrupt(path, f"it has {found} bytes, {size} were written")


def _set_up_at() -> datetime:
    """Return when the first tables of the platform were made."""
    first = MigrationRecorder(connection).migration_qs.order_by("applied").first()
    return clock.now() if first is None else clock.in_shanghai(first.applied)
