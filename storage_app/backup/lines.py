"""Files of JSON lines: written through to the medium, read a line at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from storage_app.contract.errors import Corrupt
from storage_app.stores.file.documents import make_directory, refusing


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines that end with a line feed, synced; return how many."""
    make_directory(path.parent)
    count = 0
    with refusing(path), path.open("wb") as stream:
        for line in lines:
            stream.write(line)
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    return count


def write_documents(path: Path, documents: Iterable[Any]) -> int:
    return write_lines(path, map(as_line, documents))


def as_line(document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode() + b"\n"


def read_documents(path: Path) -> Iterator[Any]:
    with refusing(path), path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield json.loads(line)
            except ValueError as exc:
                raise Corrupt(path, f"line {number}: {exc}") from exc
