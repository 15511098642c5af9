"""What a backup consists of, and the proof that it is still what was written.

    BACKUP/manifest.json            when, by which schema, and each file with rows and checksum
    BACKUP/relational/*.jsonl       a file per model, a row per line
    BACKUP/trades.parquet  klines.parquet  factors.parquet
    BACKUP/positions.jsonl          a book per line, every key of it
    BACKUP/journal.jsonl            what this host had acknowledged and kept
    BACKUP/calendar.csv             imported trading days

A directory without a manifest is no backup: the manifest is written last, and the directory gets
its name after that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from storage_app.contract.errors import Corrupt, InvalidInput
from storage_app.stores.file.documents import atomic_write_bytes, dump_document, read_document

NAME: Final = "manifest.json"
FORMAT: Final = 1
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the backup; `content` is a checksum of its rows that does not depend on order."""

    path: str
    kind: str
    rows: int
    size: int
    sha256: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    created_at: datetime
    # The migrations that had made the tables, by database.
    schema: dict[str, list[str]]
    parts: Sequence[Part]

    def of_kind(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]

    def count(self) -> dict[str, int]:
        """Return rows by kind."""
        rows: dict[str, int] = {}
        for part in self.parts:
            rows[part.kind] = rows.get(part.kind, 0) + part.rows
        return rows

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def as_document(self) -> dict[str, Any]:
        document = {
            "format": FORMAT,
            "created_at": self.created_at.isoformat(),
            "counts": self.count(),
            "schema": self.schema,
            "parts": [asdict(part) for part in self.parts],
        }
        return {**document, "sha256": _own_checksum(document)}


def describe(root: Path, path: Path, kind: str, rows: int, content: str = "") -> Part:
    """Return the entry of a file that has been written."""
    sha256, size = checksum(path)
    return Part(path.relative_to(root).as_posix(), kind, rows, size, sha256, content)


def checksum(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size of a file, reading a block at a time."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def write(root: Path, manifest: Manifest) -> None:
    atomic_write_bytes(root / NAME, dump_document(manifest.as_document()))


def read(root: Path) -> Manifest:
    """Return the manifest; InvalidInput for what is no backup, Corrupt for a damaged one."""
    path = root / NAME
    if not path.exists():
        reason = "it is half-written" if root.suffix == ".part" else "it has no manifest.json"
        raise InvalidInput(f"{root} is not a backup: {reason}")
    document = read_document(path)
    if document.get("format") != FORMAT:
        raise InvalidInput(f"{path} has format {document.get('format')}, not {FORMAT}")
    expected = document.pop("sha256", None)
    if expected != _own_checksum(document):
        raise Corrupt(path, "its own checksum does not fit")
    parts = [Part(**part) for part in document["parts"]]
    return Manifest(datetime.fromisoformat(document["created_at"]), document["schema"], parts)


def check(root: Path, parts: Iterable[Part]) -> Iterable[Part]:
    """Yield each part whose file is what was written; Corrupt names the first that is not."""
    for part in parts:
        path = root / part.path
        if not path.is_file():
            raise Corrupt(path, "the file is missing")
        sha256, size = checksum(path)
        if size != part.size:
            raise Corrupt(path, f"it has {size} bytes, {part.size} were written")
        if sha256 != part.sha256:
            raise Corrupt(path, f"its SHA-256 is {sha256}, {part.sha256} was written")
        yield part


def _own_checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
