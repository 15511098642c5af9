from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """What came of the rows of one kind; `read` is always the sum of the others."""

    kind: str
    new: int = 0
    same: int = 0
    rejected: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.new + self.same + self.rejected

    def reject(self, complaint: str, rows: int = 1) -> None:
        self.rejected += rows
        self.complaints.append(complaint)

    def note(self, *, is_same: bool) -> None:
        if is_same:
            self.same += 1
        else:
            self.new += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "new": self.new,
            "same": self.same,
            "rejected": self.rejected,
            "complaints": self.complaints,
        }
