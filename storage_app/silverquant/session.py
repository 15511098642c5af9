"""The top of a script: one call that opens the store, looks at it and reads the parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage_app import create_data_store
from storage_app.contract.arguments import parse_book
from storage_app.contract.errors import NotFound, Unavailable, Unsupported
from storage_app.contract.roles import DataStore
from storage_app.contract.types import PositionState
from storage_app.silverquant import configuration, credentials, registry
from storage_app.silverquant.credentials import Credentials
from storage_app.silverquant.parameters import Parameters, Values

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """What a script works with. `status` is one line for a person."""

    store: DataStore
    book: str
    strategy_name: str
    credentials: Credentials
    health: Mapping[str, str]
    version: int | None = None
    values: Values = field(default_factory=dict)
    status: str = ""

    @property
    def account(self) -> str:
        return self.book.partition("/")[0]

    @property
    def params(self) -> Parameters:
        """The parameters of the active version: `session.params.SellConf.risk_limit`."""
        return Parameters(self._current)

    def parameters(self, defaults: Any) -> Parameters:
        """Return an object that stands for a class like `BuyConf` of the script.

        What the active version says wins, under the name of the class or without one.
        """
        return Parameters(self._current, defaults.__name__, defaults)

    def refresh(self) -> bool:
        """Take over what staff have activated since; True if anything differs.

        What is known stays while nobody answers.
        """
        known = _try_active(self.store, self.strategy_name)
        if known is None:
            return False
        version, values = known
        changed = values != self.values
        if changed:
            logger.info("%s works with version %s of its parameters", self.strategy_name, version)
        self.version, self.values = version, values
        return changed

    def positions(self) -> dict[str, PositionState]:
        return self.store.get_positions(self.book)

    def close(self) -> None:
        registry.use_store(None)
        self.store.close()

    def _current(self) -> Values:
        return self.values


def bootstrap(
    account: str,
    strategy: str,
    *,
    namespace: str = "",
    credentials_path: str | Path | None = None,
    mode: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Session:
    """Open the store of a strategy, check its health, read its parameters, warm its positions.

    Servers and mode come from `config`, the environment, `credentials.py` and `.env`, first
    wins. Nothing here needs a server to be up: in hybrid mode the files answer, and parameters
    that nobody can read are those of the script. Bound paths work on this store from now on.
    """
    book = parse_book(f"{account}/{namespace}" if namespace else account)
    found = credentials.read(None if credentials_path is None else Path(credentials_path))
    configuration.apply_settings(found)
    store = create_data_store(mode, config)
    registry.use_store(store)
    session = Session(store, book, strategy, found, store.health_check())
    known = _try_active(store, strategy)
    if known is not None:
        session.version, session.values = known
    count = len(session.positions())
    session.status = _status_line(session, count)
    is_well = all(state == "ok" for state in session.health.values())
    logger.log(logging.INFO if is_well else logging.WARNING, "%s", session.status)
    return session


def _try_active(store: DataStore, strategy_name: str) -> tuple[int | None, Values] | None:
    """Return what is active; None, and a line in the log, where nobody knows."""
    try:
        return _active(store, strategy_name)
    except (Unavailable, Unsupported) as exc:
        logger.warning("Parameters of %s cannot be read: %s", strategy_name, exc)
    except NotFound as exc:
        logger.info("The parameters of the script count: %s", exc)
    return None


def _active(store: DataStore, strategy_name: str) -> tuple[int | None, Values]:
    known = {one["strategy_name"]: one["active_version"] for one in store.list_strategies()}
    if strategy_name not in known:
        raise NotFound(f"there is no strategy {strategy_name!r} on the platform")
    version = known[strategy_name]
    # The version by its number, so that number and values belong together.
    return version, store.get_strategy_params(strategy_name, version) if version else {}


def _status_line(session: Session, count: int) -> str:
    parts = ", ".join(f"{name} {state}" for name, state in sorted(session.health.items()))
    version = f"version {session.version}" if session.version else "of the script"
    mode = getattr(session.store, "mode", "")
    return f"{session.book} in {mode} mode: {parts}; parameters {version}; {count} positions"
