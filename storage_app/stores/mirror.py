"""Hybrid mode: each role on its server, mirrored in files, its writes kept in a journal.

ENABLE_DUAL_WRITE and ENABLE_AUTO_FALLBACK decide what the files are for:

    dual write  fallback
    on          on        The files are kept, and answer while a server is down. The default.
    on          off       The files are kept for a person; while a server is down, reads raise
                          Unavailable. Writes that are journalled are acknowledged all the same.
    off         either    No files are kept, so none can answer: reads raise Unavailable while a
                          server is down. Writes that are journalled are acknowledged.

The journal is no mirror: with any setting a trade is acknowledged when it is in the journal.
Positions are read before they change, so without fallback their writes raise Unavailable, too.

CLAIM_BOOKS says whether a store takes the lease of books of positions that nobody holds: the host
that holds it may change the book while Redis is down. It is off for the admin, jobs and commands,
and has no meaning without fallback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage_app.contract.roles import (
    AccountBook,
    KlineStore,
    PositionStore,
    StrategyBook,
    TradeLedger,
)
from storage_app.stores.fallback import Mirrored, Part, Switches
from storage_app.stores.mirrored_positions import MirroredPositions
from storage_app.stores.mirrored_reads import (
    MirroredAccounts,
    MirroredKlines,
    MirroredStrategies,
)
from storage_app.stores.mirrored_trades import MirroredTrades
from storage_app.stores.outbox import Outbox

_MIRRORED: dict[type, type[Mirrored[Any, Any]]] = {
    PositionStore: MirroredPositions,
    TradeLedger: MirroredTrades,
    KlineStore: MirroredKlines,
    AccountBook: MirroredAccounts,
    StrategyBook: MirroredStrategies,
}
ROLES = tuple(_MIRRORED)


def mirrored(
    role: type, primary: Part, mirror: Part, outbox: Outbox, switches: Switches
) -> Mirrored[Any, Any]:
    """Return the backend that plays a role on both."""
    return _MIRRORED[role](primary, mirror, outbox, switches)


def directory(role: type, data_dir: Path) -> Path:
    """Return where the mirror of a role lives.

    Accounts and strategies are a snapshot that replaces what stands there, so they keep away
    from what file mode may have left.
    """
    return data_dir / "snapshot" if role in (AccountBook, StrategyBook) else data_dir
