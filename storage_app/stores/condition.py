"""How each server of a store is: its state, since when it is down, what it is owed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from storage_app.contract.roles import DataStore
from storage_app.stores import outages
from storage_app.stores.compose import ComposedStore
from storage_app.stores.outages import Owed

_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Condition:
    """`state` is ok, degraded or down; `owed` has what waits for this server, by kind."""

    state: str
    since: datetime | None = None
    reason: str = ""
    owed: dict[str, Owed] = field(default_factory=dict)

    @property
    def public(self) -> dict[str, Any]:
        """Return state, time and numbers for JSON; nothing that tells of hosts or accounts."""
        found: dict[str, Any] = {"status": self.state}
        if self.since is not None:
            found["since"] = self.since.isoformat(timespec="seconds")
        if self.owed:
            found["owed"] = {
                kind: {"count": one.count, "age": round(one.age, 1)}
                for kind, one in self.owed.items()
            }
        return found


def conditions(store: DataStore, data_dir: Path) -> dict[str, Condition]:
    """Ask every server of a store, for half a second at most."""
    health = store.health_check()
    owed = _owed(store)
    noted = outages.current(data_dir)
    found = {}
    for name, state in health.items():
        outage = noted.get(name) if state == "down" else None
        since, reason = (outage.since, outage.reason) if outage else (None, "")
        found[name] = Condition(state, since, reason, owed.get(name, {}))
    return found


def wait_until_well(store: DataStore, seconds: float) -> bool:
    """Wait for servers that are slow to answer, as they are right after their start.

    For work that nobody waits for, unlike a trading thread's; False if one stays down.
    """
    deadline = time.monotonic() + seconds
    while "down" in store.health_check().values():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _owed(store: DataStore) -> dict[str, dict[str, Owed]]:
    if not isinstance(store, ComposedStore):
        return {}
    return {
        name: {kind: Owed(int(one["count"]), one["age"]) for kind, one in kinds.items()}
        for name, kinds in store.owed_by_component().items()
    }
