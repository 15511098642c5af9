"""Which files a stopped import had finished, so that the next one can go on behind them.

One file per import under `DATA_DIR/imports`, a JSON line per finished file, appended after the
stores have acknowledged its rows. A line that was lost costs time only: rows are known by their
identity, so a file that is read again adds nothing. The file goes away when an import ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from storage_app.imports.options import ImportOptions
from storage_app.imports.results import ImportResult, from_json, join_notes

FOLDER = "imports"

# Size and time of change, which tell whether a file is still the one that was read.
Stamp = list[int]


def job_of(root: Path, parts: Iterable[str], options: ImportOptions) -> list[object]:
    """Return what tells one import from another: only an equal one may be gone on with."""
    return [
        root.resolve(),
        *sorted(parts),
        options.account_id,
        options.adjust,
        options.zone.key,
        options.since,
        options.until,
        options.assume_filled,
    ]


class Cursor:
    def __init__(self, data_dir: Path, job: Iterable[object], *, resume: bool) -> None:
        """Open the cursor of a job (see `job_of`), anew unless it is to be resumed."""
        name = hashlib.sha256("\n".join(map(str, job)).encode()).hexdigest()[:16]
        self.path = data_dir / FOLDER / f"{name}.jsonl"
        self._finished = self._read() if resume else {}
        if not resume:
            self.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._finished)

    def find(self, path: Path) -> ImportResult | None:
        """Return what the stopped run did with a file that is unchanged since."""
        found = self._finished.get(str(path))
        if found is None or found["stamp"] != _stamp(path):
            return None
        result = from_json(found["result"])
        return replace(result, note=join_notes(_("by the run before"), result.note))

    def finish(self, results: Iterable[ImportResult]) -> None:
        """Note files whose rows are stored; a refused one is read again the next time."""
        lines = [
            json.dumps({"stamp": _stamp(one.path), "result": one.as_json()}, ensure_ascii=False)
            for one in results
            if not one.refused
        ]
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write("".join(f"{line}\n" for line in lines))

    def remove(self) -> None:
        """The import has come to its end."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        text = self.path.read_text(encoding="utf-8", errors="replace")
        if not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write("\n")
        finished = {}
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                finished[entry["result"]["file"]] = entry
            except (json.JSONDecodeError, KeyError, TypeError):
                # The process was killed while it wrote this line.
                continue
        return finished


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
