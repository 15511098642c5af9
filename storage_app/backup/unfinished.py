"""The note that a restore has begun: while it stands, nobody should believe the databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from storage_app.contract.errors import Conflict
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    dump_document,
    make_directory,
    read_document,
    sync_directory,
)
from trades_app.market import clock

_NAME: Final = "restore.unfinished.json"


def read(data_dir: Path) -> dict[str, Any]:
    """Return what has begun and not ended: `backup`, `parts` and `since`; {} if nothing has."""
    return read_document(data_dir / _NAME)


def begin(data_dir: Path, backup: Path, parts: list[str]) -> None:
    make_directory(data_dir)
    note = {"backup": str(backup), "parts": parts, "since": clock.now().isoformat()}
    atomic_write_bytes(data_dir / _NAME, dump_document(note))


def end(data_dir: Path) -> None:
    (data_dir / _NAME).unlink(missing_ok=True)
    sync_directory(data_dir)


def refuse(data_dir: Path) -> None:
    """Raise Conflict while a restore has begun and not ended."""
    note = read(data_dir)
    if note:
        raise Conflict(
            f"the restore of {note['backup']} that began at {note['since']} has not ended; "
            "run it again to complete it"
        )
