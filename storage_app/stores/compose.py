"""One table says which backend plays which role in which mode; stores are built from it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
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
from storage_app.stores.outbox import Outbox, close_outbox, open_outbox
from storage_app.stores.setup import Options, prepare
from storage_app.stores.slow import watched

logger = logging.getLogger(__name__)

HEALTH_DEADLINE = 0.5
# Seconds that a write may be on its way before its server counts as degraded.
OWED_PATIENCE = 5.0
_OWED_BY: dict[str, type] = {
    "positions": PositionStore,
    "trades": TradeLedger,
    "trade conflict": AccountBook,
    "capital": AccountBook,
}

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

    def __init__(
        self, mode: str, backends: Mapping[type, Backend], outbox: Outbox | None = None
    ) -> None:
        self.mode = mode
        self._backends = backends
        self._outbox = outbox
        for role in ROLES:
            for name in role_methods(role):
                setattr(self, name, self._bind(role, name))

    def health_check(self) -> dict[str, str]:
        components = {backend.component: backend for backend in self._backends.values()}
        health = check_health(components)
        for kind, owed in self.owed().items():
            name = self._backends[_OWED_BY[kind]].component
            if owed["age"] > OWED_PATIENCE and health[name] == "ok":
                health[name] = "degraded"
        return health

    def owed(self) -> dict[str, dict[str, float]]:
        """Return what is acknowledged and not on its server yet: count and age by kind."""
        if self._outbox is None:
            return {}
        counts = self._outbox.counts()
        return {kind: {"count": count, "age": age} for kind, (count, age) in counts.items()}

    def close(self) -> None:
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            close_outbox(outbox)
        for backend in self._backends.values():
            backend.close()

    def _bind(self, role: type, name: str) -> Any:
        if role in self._backends:
            return checked(role, watched(role, getattr(self._backends[role], name)))
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
    if options.mode == "hybrid":
        return cast("DataStore", _mirror(backends, options))
    return cast("DataStore", ComposedStore(options.mode, backends))


def _mirror(primaries: Mapping[type, Backend], options: Options) -> ComposedStore:
    """Put the files behind the servers of each role that has a mirror."""
    # They need the models, so Django has to be set up.
    from storage_app.stores import mirror
    from storage_app.stores.fallback import Switches

    outbox = open_outbox(options.data_dir / "journal")
    switches = Switches(options.dual_write, options.auto_fallback)
    backends = dict(primaries)
    for role in mirror.ROLES:
        if primaries[role].component == "sqlite":
            continue  # a file of this host, which is no more durable for another beside it
        files = _build(
            _FILES[role], replace(options, data_dir=mirror.directory(role, options.data_dir))
        )
        backends[role] = mirror.mirrored(role, primaries[role], files, outbox, switches)
    return ComposedStore(options.mode, backends, outbox)


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
