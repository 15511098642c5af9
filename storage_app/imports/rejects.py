"""Rejected rows as files: what to correct in the source before the import is run again."""

from __future__ import annotations

import csv
from pathlib import Path

from storage_app.imports.results import ImportResult

COLUMNS = ("line", "column", "value", "reason", "raw")


class RejectsFolder:
    """One folder per import, made when the first row is rejected."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self._root = root

    def write(self, result: ImportResult) -> Path | None:
        """Write the rejected rows of a file; None when there are none."""
        if not result.rejects:
            return None
        path = self.path / self._name(result.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The byte order mark makes spreadsheets read Chinese text as what it is.
        with path.open("w", encoding="utf-8-sig", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow(COLUMNS)
            for row in result.rejects:
                writer.writerow((row.line, row.column, row.value, row.reason, row.raw))
        return path

    def _name(self, source: Path) -> Path:
        relative = source.relative_to(self._root)
        return relative.with_name(
            f"{relative.name}.csv" if relative.suffix != ".csv" else relative.name
        )
