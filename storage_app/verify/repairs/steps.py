"""What a repair consists of: steps that can be shown, and then done one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from storage_app.stores.file.documents import refusing, sync_directory
from storage_app.verify.differences import Kind
from storage_app.verify.repairs.actions import Action
from storage_app.verify.scope import Scope
from trades_app.market import clock


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to put right; `example` is the first finding that it would end."""

    kind: Kind
    action: Action
    unit: str
    account_id: str = ""
    differences: int = 0
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs_person(self) -> bool:
        return self.action is Action.BY_HAND

    @property
    def key(self) -> str:
        return f"{self.kind} {self.unit}"

    def as_finding(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "action": self.action.value,
            "unit": self.unit,
            "account_id": self.account_id,
            "differences": self.differences,
            "example": dict(self.example),
        }


@dataclass(frozen=True, slots=True)
class Done:
    """What a step changed: the audit trail keeps both sides."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


Perform: TypeAlias = Callable[["Scope", Step], Done]


def set_aside(path: Path) -> Path:
    """Keep a damaged file as evidence beside its place, which is free then."""
    kept = path.with_name(f"{path.name}.damaged-{clock.now():%Y%m%d-%H%M%S-%f}")
    with refusing(path):
        path.replace(kept)
    sync_directory(path.parent)
    return kept
