"""The way back: everything as files that other programs, file mode and SilverQuant itself read.

export.json            what was exported, and each file with its checksum; written last
accounts.json …        a DATA_DIR of file mode (`file_tree`)
silverquant/ACCOUNT/   a `_cache` directory of SilverQuant (`silverquant_tree`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from storage_app.backup import file_tree, flat_files, silverquant_tree
from storage_app.backup import manifest as manifests
from storage_app.backup import scope as scopes
from storage_app.backup.scope import Scope
from storage_app.contract.errors import InvalidInput
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    dump_document,
    make_directory,
)
from storage_app.stores.orm import translating
from trades_app import copies
from trades_app.market import clock

NAME: Final = "export.json"
FILES: Final = "files"
FORMATS: Final = (FILES, *flat_files.FORMATS)
# What a run that was stopped has left, and locks, which are no part of the export.
_LEFT: Final = (".lock", ".tmp")


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    form: str
    counts: dict[str, int]
    is_dry_run: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "form": self.form,
            "counts": self.counts,
            "dry_run": self.is_dry_run,
        }


def export(
    root: Path,
    data_dir: Path,
    form: str,
    scope: Scope,
    *,
    resume: bool = False,
    dry_run: bool = False,
    watch: Watch = UNWATCHED,
) -> Exported:
    """Write an export into a new or empty directory, or go on with one that was stopped."""
    if form not in FORMATS:
        raise InvalidInput(f"unknown form {form!r}; there are {', '.join(FORMATS)}")
    _refuse_directory(root, data_dir, resume=resume)
    with translating():
        if dry_run:
            return Exported(root, form, _count(scope), is_dry_run=True)
        make_directory(root)
        counts = _write(root, data_dir, form, scope, watch)
    document = {
        "form": form,
        "created_at": clock.now().isoformat(),
        "account": scope.account,
        "since": scope.since and scope.since.isoformat(),
        "until": scope.until and scope.until.isoformat(),
        "counts": counts,
        "files": _checksums(root, watch),
    }
    atomic_write_bytes(root / NAME, dump_document(document))
    return Exported(root, form, counts)


def _write(root: Path, data_dir: Path, form: str, scope: Scope, watch: Watch) -> dict[str, int]:
    if form != FILES:
        return flat_files.write(root, scope, form, watch)
    counts = file_tree.write(root, data_dir, scope, watch)
    silverquant_tree.write(root, scope, watch)
    return counts


def _refuse_directory(root: Path, data_dir: Path, *, resume: bool) -> None:
    if root.resolve() == data_dir.resolve():
        raise InvalidInput(f"{root} is the platform's own DATA_DIR; choose another directory")
    if (root / NAME).exists():
        raise InvalidInput(f"{root} holds an export already; choose another directory")
    if root.is_dir() and any(root.iterdir()) and not resume:
        raise InvalidInput(f"{root} is not empty; --resume goes on with an export that was stopped")


def _count(scope: Scope) -> dict[str, int]:
    with_account = {"trades": copies.count(copies.TRADES)} if scope.account is None else {}
    return {
        "accounts": len(scopes.accounts(scope)),
        "books": sum(1 for _book in scopes.books(scope)),
        **with_account,
        "klines": copies.count(copies.KLINES),
        "factors": copies.count(copies.FACTORS),
    }


def _checksums(root: Path, watch: Watch) -> dict[str, str]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    kept = [path for path in paths if path.suffix not in _LEFT and path.name != NAME]
    found = {}
    for number, path in enumerate(kept, start=1):
        found[path.relative_to(root).as_posix()] = manifests.checksum(path)[0]
        watch.step(_("checksums"), number, len(kept))
    return found
