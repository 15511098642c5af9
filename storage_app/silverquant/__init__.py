"""Run SilverQuant's strategies on the platform.

    import storage_app.silverquant.install  # the first line of a script

Importing this package alone does nothing; its functions are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage_app.silverquant.bars import get_history, get_kline
    from storage_app.silverquant.gm import GmRecorder
    from storage_app.silverquant.qmt import QmtRecorder
    from storage_app.silverquant.reconciling import apply_corrections, reconcile, sync_positions
    from storage_app.silverquant.registry import bind
    from storage_app.silverquant.session import bootstrap

__all__ = (
    "GmRecorder",
    "QmtRecorder",
    "apply_corrections",
    "bind",
    "bootstrap",
    "get_history",
    "get_kline",
    "reconcile",
    "sync_positions",
)

_HOMES = {
    "GmRecorder": "gm",
    "QmtRecorder": "qmt",
    "apply_corrections": "reconciling",
    "bind": "registry",
    "bootstrap": "session",
    "get_history": "bars",
    "get_kline": "bars",
    "reconcile": "reconciling",
    "sync_positions": "reconciling",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
