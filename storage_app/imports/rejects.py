"""Rejected rows as files of the same form, to be corrected and imported in their turn.

A run has one folder, laid out like the directory it imported: correct the rows in place and
import that folder. A CSV file keeps its columns, followed by the line, the column, the value,
the reason and the row as it was; a JSON file keeps the entries as they were and names the
reasons under `_reasons`. Readers pass over what was added.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from storage_app.imports.results import MOST_KEPT_REJECTS, ImportResult
from storage_app.legacy.holdings import (
    HOLDING_NAMES,
    INCREMENT_KEY,
    MAX_PRICE_NAMES,
    MIN_PRICE_NAMES,
)
from storage_app.legacy.lines import Lines
from storage_app.legacy.text import CUT, Rejected, read_text

ADDED_COLUMNS = ("line", "column", "value", "reason", "raw")
REASONS_KEY = "_reasons"
_BOOK_NAMES = (*HOLDING_NAMES, *MAX_PRICE_NAMES, *MIN_PRICE_NAMES)


class RejectsFolder:
    """One folder per import, made when the first row is rejected."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self._root = root
        self._begun: set[Path] = set()

    def write(self, result: ImportResult) -> Path | None:
        """Write the rejected rows of a file, unless `add` was told of them; None without any."""
        target = self._target(result.path)
        if not result.rejects:
            return None
        if target not in self._begun:
            self.add(result.path, result.rejects)
        return target

    def add(self, source: Path, rows: Iterable[Rejected]) -> None:
        """Append rows of a file that is read in batches, whose results keep only the first."""
        rows = list(rows)
        if not rows:
            return
        target = self._target(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".json":
            target.write_text(_entries(source, rows), encoding="utf-8")
        else:
            self._append(source, target, rows)
        self._begun.add(target)

    def _append(self, source: Path, target: Path, rows: Iterable[Rejected]) -> None:
        header = _header(source)
        is_new = target not in self._begun
        # The byte order mark makes spreadsheets read Chinese text as what it is.
        encoding = "utf-8-sig" if is_new else "utf-8"
        with target.open("w" if is_new else "a", encoding=encoding, newline="") as lines:
            writer = csv.writer(lines)
            if is_new:
                writer.writerow((*header, *ADDED_COLUMNS))
            for row in rows:
                added = (row.line, row.column, row.value, row.reason, row.raw)
                writer.writerow((*_fields(row.raw, len(header)), *added))

    def _target(self, source: Path) -> Path:
        name = source.relative_to(self._root)
        if name.suffix not in (".csv", ".json"):
            name = name.with_name(f"{name.name}.csv")
        return self.path / name


class RejectLog:
    """The rejected rows of one file: the folder gets all, a result the first."""

    def __init__(self, source: Path, folder: RejectsFolder | None) -> None:
        self._source = source
        self._folder = folder
        self.kept: list[Rejected] = []
        self.more = 0

    def add(self, rows: Iterable[Rejected]) -> None:
        rows = sorted(rows, key=lambda row: row.line)
        if self._folder:
            self._folder.add(self._source, rows)
        room = MOST_KEPT_REJECTS - len(self.kept)
        self.kept += rows[:room]
        self.more += len(rows[room:])

    @property
    def count(self) -> int:
        return len(self.kept) + self.more


def _header(source: Path) -> list[str]:
    """Return the names of the columns; those that an earlier rejects file added are left out."""
    if source.suffix != ".csv":
        return []
    first = next(line for batch in Lines(source).batches() for line in batch)
    names = next(csv.reader([first]), [])
    if tuple(names[-len(ADDED_COLUMNS) :]) == ADDED_COLUMNS:
        return names[: -len(ADDED_COLUMNS)]
    return names


def _fields(raw: str, width: int) -> list[str]:
    """Return the fields of a row; none of them if they do not fit the columns.

    A person fills them in then: cut to size, such a row could pass for a good one.
    """
    fields = next(csv.reader([raw]), [])
    return fields if len(fields) == width and CUT not in raw else [""] * width


def _entries(source: Path, rows: list[Rejected]) -> str:
    """Return a JSON object of the rejected entries, a repeated key standing there twice."""
    reasons = {f"line {row.line}, {row.column}": row.reason for row in rows}
    entries = [json.dumps(REASONS_KEY) + ": " + json.dumps(reasons, ensure_ascii=False, indent=4)]
    if source.name in _BOOK_NAMES and all(row.column != INCREMENT_KEY for row in rows):
        entries.append(f"{json.dumps(INCREMENT_KEY)}: {json.dumps(_increment_date(source))}")
    entries += [row.raw.strip()[1:-1] for row in rows if row.raw]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _increment_date(source: Path) -> str | None:
    """Return the last increment of the book that a file is part of."""
    if source.name not in HOLDING_NAMES:
        beside = (source.with_name(name) for name in HOLDING_NAMES)
        found = next((path for path in beside if path.is_file()), None)
        source = found or source
    value = json.loads(read_text(source)).get(INCREMENT_KEY)
    return value if isinstance(value, str) else None
