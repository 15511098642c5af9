"""What an import did with each file; every row read is new, stood there before, or is rejected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage_app.legacy.text import LegacyFileError, Rejected


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts of one file. `refused` says why no row of the file was read at all."""

    path: Path
    kind: str
    read: int = 0
    new: int = 0
    same: int = 0
    rejects: Sequence[Rejected] = ()
    note: str = ""
    refused: str = ""

    def __post_init__(self) -> None:
        if self.read != self.new + self.same + self.rejected:
            raise ValueError(
                f"{self.path}: read {self.read} rows, but {self.new} are new, "
                f"{self.same} the same and {self.rejected} rejected"
            )

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    @property
    def is_clean(self) -> bool:
        return not (self.rejects or self.refused)

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "kind": self.kind,
            "read": self.read,
            "new": self.new,
            "same": self.same,
            "rejected": self.rejected,
            "note": self.note,
            "refused": self.refused,
            "rejects": [asdict(row) for row in self.rejects],
        }


def refusal(path: Path, kind: str, error: LegacyFileError) -> ImportResult:
    return ImportResult(path, kind, refused=str(error))


def join_notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def total(results: Iterable[ImportResult]) -> dict[str, int]:
    """Return the sums of all counts and the number of refused files."""
    sums = dict.fromkeys(("read", "new", "same", "rejected", "refused"), 0)
    for result in results:
        for name in ("read", "new", "same", "rejected"):
            sums[name] += getattr(result, name)
        sums["refused"] += bool(result.refused)
    return sums
