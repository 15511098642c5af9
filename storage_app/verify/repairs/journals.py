"""Journals: what is owed is brought where it belongs; damage is evidence for a person."""

from __future__ import annotations

from typing import Final

from storage_app.contract.errors import Unavailable
from storage_app.stores.draining import drain
from storage_app.verify import pending
from storage_app.verify.repairs.steps import Done, Step
from storage_app.verify.scope import Scope

TIMEOUT: Final = 20.0


def replay(scope: Scope, step: Step) -> Done:
    """Bring owed writes to their servers and files; Unavailable if some stay owed."""
    before = _count(scope)
    drain(scope.data_dir, TIMEOUT)
    left = _count(scope)
    if left:
        raise Unavailable("journal", f"{left} of {before} entries are still owed")
    return Done({"owed": before}, {"owed": 0})


def _count(scope: Scope) -> int:
    return sum(1 for _ in pending.read(scope.journal))
