"""What an import did with each file; every row read is new, stood there before, or is rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage_app.legacy.text import LegacyFileError, Rejected

# Of one file; a rejects file has them all.
MOST_KEPT_REJECTS = 1000
_COUNTS = ("read", "new", "same", "rejected")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts of one file.

    `rejects` holds the first rejected rows and `more_rejected` counts the others. `refused` says
    why no row of the file was read at all, or why reading stopped.
    """

    path: Path
    kind: str
    read: int = 0
    new: int = 0
    same: int = 0
    rejects: Sequence[Rejected] = ()
    note: str = ""
    refused: str = ""
    more_rejected: int = 0

    def __post_init__(self) -> None:
        if self.read != self.new + self.same + self.rejected:
            raise ValueError(
                f"{self.path}: read {self.read} rows, but {self.new} are new, "
                f"{self.same} the same and {self.rejected} rejected"
            )

    @property
    def rejected(self) -> int:
        return len(self.rejects) + self.more_rejected

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


def from_json(document: Mapping[str, Any]) -> ImportResult:
    """Return the result that `as_json` has turned into a document."""
    rejects = [Rejected(**row) for row in document["rejects"]]
    return ImportResult(
        path=Path(document["file"]),
        kind=document["kind"],
        **{name: document[name] for name in ("read", "new", "same", "note", "refused")},
        rejects=rejects,
        more_rejected=document["rejected"] - len(rejects),
    )


def refusal(path: Path, kind: str, error: LegacyFileError) -> ImportResult:
    return ImportResult(path, kind, refused=str(error))


def join_notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def total(results: Iterable[ImportResult]) -> dict[str, int]:
    """Return the sums of all counts and the number of refused files."""
    sums = dict.fromkeys((*_COUNTS, "refused"), 0)
    for result in results:
        for name in _COUNTS:
            sums[name] += getattr(result, name)
        sums["refused"] += bool(result.refused)
    return sums
