"""One table says which backend plays which role in which mode; stores are built from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from django.utils.module_loading import import_string

from storage_app.contract.errors import InvalidInput, Unsupported
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
from storage_app.contract.types import FillOutcome
from storage_app.stores import outages
from storage_app.stores.absent import Absent
from storage_app.stores.breaker import BreakerState
from storage_app.stores.checked import checked
from storage_app.stores.fallback import Mirrored, Switches
from storage_app.stores.fills import FillLog, JournalSource, OutboxSource, new_fill
from storage_app.stores.outbox import Hold, Outbox, open_outbox
from storage_app.stores.pinging import ask
from storage_app.stores.setup import Options, prepare
from storage_app.stores.slow import watched

logger = logging.getLogger(__name__)

HEALTH_DEADLINE = 0.5
# A little more than the longest timeout of a driver, so that each tells what it found.
OPENING_DEADLINE = 0.6
# Seconds that a write may be on its way before its server counts as degraded.
OWED_PATIENCE = 5.0
_OWED_BY: dict[str, type] = {
    "positions": PositionStore,
    "position conflict": PositionStore,
    "fills": PositionStore,
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
        self,
        mode: str,
        backends: Mapping[type, Backend],
        hold: Hold | None = None,
        fills: FillLog | None = None,
    ) -> None:
        self.mode = mode
        self._fills = fills
        self._backends = backends
        self._hold = hold
        for role in ROLES:
            for name in role_methods(role):
                setattr(self, name, self._bind(role, name))

    def record_fill(self, *args: Any, **kwargs: Any) -> FillOutcome:
        if self._fills is None:
            raise Unsupported(f"mode {self.mode} has not all that a fill moves; use file or hybrid")
        return self._fills.record(new_fill(*args, **kwargs))

    def health_check(self) -> dict[str, str]:
        components = {backend.component: backend for backend in self._backends.values()}
        health = check_health(components)
        for backend in self._backends.values():
            if isinstance(backend, Mirrored) and health[backend.component] == "ok":
                backend.breaker.found_well()
        if self._hold is not None:
            outages.settle(self._hold.outbox.journal.directory, health)
        for name, kinds in self.owed_by_component().items():
            if health[name] == "ok" and any(one["age"] > OWED_PATIENCE for one in kinds.values()):
                health[name] = "degraded"
        return health

    def owed(self) -> dict[str, dict[str, float]]:
        """Return what is acknowledged and not on its server yet: count and age by kind."""
        if self._hold is None:
            return {}
        counts = self._hold.outbox.counts()
        counts |= outages.stopped(self._hold.outbox.journal.directory)
        return {kind: {"count": count, "age": age} for kind, (count, age) in counts.items()}

    def owed_by_component(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return what `owed()` does below the name of the server that it is owed to."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for kind, one in self.owed().items():
            found.setdefault(self._backends[_OWED_BY[kind]].component, {})[kind] = one
        return found

    @property
    def positions(self) -> Backend:
        """The backend that plays the positions, for what is no part of the contract."""
        return self._backends[PositionStore]

    def close(self) -> None:
        if self._fills is not None:
            self._fills.close()
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()
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
    fills = None
    if options.mode == "file":
        fills = _fill_log(JournalSource(options.data_dir / "fills"), backends, None)
    return cast("DataStore", ComposedStore(options.mode, backends, fills=fills))


def _fill_log(
    source: JournalSource | OutboxSource, backends: Mapping[type, Any], outbox: Outbox | None
) -> FillLog:
    """Return the log of fills over three roles, with nothing left to do that can be done."""
    fills = FillLog(source, backends, outbox)
    fills.finish()
    return fills


def open_platform_store(data_dir: Path | None = None) -> DataStore:
    """Return a store in hybrid mode for the admin, the jobs and commands, which never takes the
    lease of a book: that is for the hosts that trade."""
    config: dict[str, Any] = {"claim_books": False}
    if data_dir is not None:
        config["data_dir"] = data_dir
    return create_data_store("hybrid", config)


def _mirror(primaries: Mapping[type, Backend], options: Options) -> ComposedStore:
    """Put the files behind the servers of each role that has a mirror."""
    # They need the models, so Django has to be set up.
    from storage_app.stores import mirror

    hold = open_outbox(options.data_dir / "journal")
    switches = Switches(options.dual_write, options.auto_fallback, options.claims)
    backends = dict(primaries)
    for role in mirror.ROLES:
        if primaries[role].component == "sqlite":
            continue  # a file of this host, which is no more durable for another beside it
        files = _build(
            _FILES[role], replace(options, data_dir=mirror.directory(role, options.data_dir))
        )
        backends[role] = mirror.mirrored(role, primaries[role], files, hold.outbox, switches)
    mirrored = [one for one in backends.values() if isinstance(one, Mirrored)]
    _find_what_is_down({one.component: one for one in mirrored})
    fills = _fill_log(OutboxSource(hold.outbox), backends, hold.outbox)
    hold.outbox.wake()
    return ComposedStore(options.mode, backends, hold, fills)


def _build(dotted_path: str, options: Options) -> Backend:
    backend = import_string(dotted_path)
    takes_directory = dotted_path.startswith(_FILE)
    return cast("Backend", backend(options.data_dir) if takes_directory else backend())


def check_health(components: Mapping[str, Backend]) -> dict[str, str]:
    """Ping all at once; what has not answered at the deadline is down, however it hangs."""
    answers = ask({name: one.ping for name, one in components.items()}, HEALTH_DEADLINE)
    return {name: "ok" if answers.get(name) == "" else "down" for name in components}


def _find_what_is_down(servers: Mapping[str, Mirrored[Any, Any]]) -> None:
    """Open the breakers before the first call has to, and tell the log in one line.

    Those that are open already are asked as well: what another store of this process met may be
    over, and whoever begins now need not wait for the next probe.
    """
    answers = ask({name: one.ping for name, one in servers.items()}, OPENING_DEADLINE)
    for name, reason in answers.items():
        if reason:
            servers[name].breaker.trip(reason, log=False)
        else:
            servers[name].breaker.found_well()
    # One that is merely slow is left to the first call, which may have more time.
    down = dict.fromkeys(servers.keys() - answers.keys(), "no answer")
    down |= {name: state.reason for name, state in _open_breakers(servers).items()}
    if down:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(down.items()))
        logger.warning("Begun without %s of %s servers: %s", len(down), len(servers), reasons)


def _open_breakers(servers: Mapping[str, Mirrored[Any, Any]]) -> dict[str, BreakerState]:
    states = {name: one.breaker.state() for name, one in servers.items()}
    return {name: state for name, state in states.items() if state.is_open}
