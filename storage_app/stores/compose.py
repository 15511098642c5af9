"""One table says which backend plays which role in which mode; stores are built from it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol, cast

from django.utils.module_loading import import_string

from storage_app.contract.errors import InvalidInput, Unavailable
from storage_app.contract.roles import (
    ROLES,
    AccountBook,
    DataStore,
    KlineStore,
    PositionStore,
    StrategyBook,
    TradeLedger,
    role_methods,
)
from storage_app.stores.absent import Absent
from storage_app.stores.checked import checked
from storage_app.stores.setup import Options, prepare

logger = logging.getLogger(__name__)

HEALTH_DEADLINE = 0.5

# Role → dotted path of the backend that plays it.
Roles = dict[type, str]

_FILE = "storage_app.stores.file"
_FILES: Roles = {
    PositionStore: f"{_FILE}.positions.FilePositions",
    TradeLedger: f"{_FILE}.trades.FileTrades",
    KlineStore: f"{_FILE}.klines.FileKlines",
    AccountBook: f"{_FILE}.accounts.FileAccounts",
    StrategyBook: f"{_FILE}.strategies.FileStrategies",
}
_REDIS: Roles = {PositionStore: "storage_app.stores.redis.RedisPositions"}
_RELATIONAL: Roles = {
    AccountBook: "storage_app.stores.orm.OrmAccounts",
    StrategyBook: "storage_app.stores.orm.OrmStrategies",
}
_CLICKHOUSE: Roles = {
    TradeLedger: "storage_app.stores.clickhouse.ClickHouseTrades",
    KlineStore: "storage_app.stores.clickhouse.ClickHouseKlines",
}
MODES: dict[str, Roles] = {
    "file": _FILES,
    "redis": _REDIS,
    "mysql": _RELATIONAL,
    "clickhouse": _CLICKHOUSE,
    "hybrid": {**_REDIS, **_RELATIONAL, **_CLICKHOUSE},
}


class Backend(Protocol):
    """What every backend has besides the methods of its role."""

    @property
    def component(self) -> str:
        """Name in health_check: files, redis, mysql, sqlite or clickhouse."""
        ...

    def ping(self) -> None:
        """Raise Unavailable when the backend does not answer."""
        ...

    def close(self) -> None: ...


class ComposedStore:
    """A DataStore made of one backend per role; its methods are those of the roles."""

    def __init__(self, mode: str, backends: Mapping[type, Backend]) -> None:
        self.mode = mode
        self._backends = backends
        for role in ROLES:
            for name in role_methods(role):
                setattr(self, name, self._bind(role, name))

    def health_check(self) -> dict[str, str]:
        components = {backend.component: backend for backend in self._backends.values()}
        return check_health(components)

    def close(self) -> None:
        for backend in self._backends.values():
            backend.close()

    def _bind(self, role: type, name: str) -> Any:
        if role in self._backends:
            return checked(role, getattr(self._backends[role], name))
        homes = [mode for mode, roles in MODES.items() if role in roles]
        return Absent(name, role, self.mode, homes)


def create_data_store(
    mode: str | None = None, config: Mapping[str, Any] | None = None
) -> DataStore:
    """Return the store of a mode: file, redis, mysql, clickhouse or hybrid.

    `mode=None` takes DATA_STORE_MODE. `config` overrides settings by the lower-case names of
    the environment variables; an unknown key, or a server that differs from the one this process
    already uses, raises InvalidInput. An unknown mode raises ValueError.
    """
    if mode is not None and mode not in MODES:
        raise InvalidInput(f"unknown mode {mode!r}; choose one of {', '.join(MODES)}")
    options = prepare(mode, config or {})
    if options.mode not in MODES:
        raise InvalidInput(f"unknown mode {options.mode!r}; choose one of {', '.join(MODES)}")
    backends = {role: _build(path, options) for role, path in MODES[options.mode].items()}
    return cast("DataStore", ComposedStore(options.mode, backends))


def _build(dotted_path: str, options: Options) -> Backend:
    backend = import_string(dotted_path)
    takes_directory = dotted_path.startswith(_FILE)
    return cast("Backend", backend(options.data_dir) if takes_directory else backend())


def check_health(components: Mapping[str, Backend]) -> dict[str, str]:
    """Ping all at once; what has not answered at the deadline is down, however it hangs."""
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for name, backend in components.items():
        threading.Thread(target=_ping, args=(name, backend, answers), daemon=True).start()
    health = dict.fromkeys(components, "down")
    deadline = time.monotonic() + HEALTH_DEADLINE
    for _ in components:
        try:
            name, state = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            break
        health[name] = state
    return health


def _ping(name: str, backend: Backend, answers: queue.SimpleQueue[tuple[str, str]]) -> None:
    try:
        backend.ping()
    except Unavailable as exc:
        logger.info("%s", exc)
        answers.put((name, "down"))
    else:
        answers.put((name, "ok"))
