"""Accounts and strategies in the relational database of Django, through the services.

The database is the one of the settings, MySQL, MariaDB or SQLite, shared by the whole process;
each thread has a connection of its own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from django.db import InterfaceError, OperationalError, connection, connections, transaction

from storage_app.contract import rows, rules
from storage_app.contract.errors import Unavailable
from storage_app.contract.roles import AccountBook, StrategyBook
from storage_app.contract.types import Money
from storage_app.models import Account, AccountStrategy, ParamVersion, Strategy
from storage_app.services import accounts, bindings, capital, strategies
from storage_app.services.actors import trader
from trades_app.market import clock

# A server that is gone refuses or stays silent; silence costs this much, once.
PROBE_TIMEOUT = 0.3


@contextmanager
def translating() -> Iterator[None]:
    """Bring the connection of this thread into order and turn its failures into Unavailable."""
    _renew_connection()
    try:
        yield
    except (OperationalError, InterfaceError) as exc:
        raise Unavailable(connection.vendor, str(exc)) from exc


def _renew_connection() -> None:
    if connection.in_atomic_block:
        return
    # Django does so between web requests; a trading program has none.
    connection.close_if_unusable_or_obsolete()
    _drop_if_silent()
    if connection.connection is None and connection.vendor == "mysql":
        _probe(connection.settings_dict["HOST"], int(connection.settings_dict["PORT"] or 3306))


def _drop_if_silent() -> None:
    """Check the connection as Django would, but go no further when a timeout was spent on it."""
    if connection.connection is None or connection.vendor != "mysql":
        return
    started = time.monotonic()
    if not connection.is_usable():
        connection.close()
        if time.monotonic() - started > PROBE_TIMEOUT:
            raise Unavailable("mysql", "no answer in time")
    connection.health_check_done = True  # type: ignore[attr-defined]


def _probe(host: str, port: int) -> None:
    """Find out soon whether anybody answers, since the driver counts in whole seconds.

    The server speaks first. One that is silent or slow would cost a timeout for each of the
    steps of signing in.
    """
    if host.startswith("/"):
        return
    try:
        with socket.create_connection((host, port), PROBE_TIMEOUT) as connected:
            greeting = connected.recv(1)
    except OSError as exc:
        raise Unavailable("mysql", f"{host}:{port}: {exc}") from exc
    if not greeting:
        raise Unavailable("mysql", f"{host}:{port}: it hangs up")


class _Relational:
    """What both roles share: the connection."""

    @property
    def component(self) -> str:
        return connection.vendor

    @translating()
    def ping(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def close(self) -> None:
        """Close the connection of this thread; the next call opens another."""
        if not connection.in_atomic_block:
            connection.close()


class OrmAccounts(_Relational, AccountBook):
    @translating()
    def create_account(
        self,
        account_id: str,
        account_name: str,
        broker: str,
        initial_capital: Money,
        *,
        environment: str = "live",
    ) -> int:
        account = accounts.create(
            trader(), account_id, account_name, broker, initial_capital, environment
        )
        return account.pk

    @translating()
    def get_account(self, account_id: str) -> dict[str, Any] | None:
        found = Account.objects.filter(account_id=account_id).values(*rows.ACCOUNT_KEYS)
        # The column takes no notice of case, account numbers do.
        exact = [row for row in found if row["account_id"] == account_id]
        return rows.account_row(exact[0]) if exact else None

    @translating()
    def list_accounts(self, status: str | None = None) -> list[dict[str, Any]]:
        found = Account.objects.values(*rows.ACCOUNT_KEYS)
        if status is not None:
            found = found.filter(status=rules.parse_account_status(status).value)
        return sorted(map(rows.account_row, found), key=itemgetter("account_id"))

    def update_account_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
    ) -> None:
        self.record_capital(account_id, current_capital, total_assets, position_value, clock.now())

    @translating()
    def record_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
        at: datetime,
    ) -> None:
        """Do the `update_account_capital` of a moment; what is newer stands."""
        capital.update_capital(
            trader(), account_id, current_capital, total_assets, position_value, at
        )

    @translating()
    def set_account_status(self, account_id: str, status: str, reason: str) -> None:
        accounts.set_status(trader(), account_id, status, reason)

    @translating()
    def bind_strategy(
        self,
        account_id: str,
        strategy_name: str,
        allocated_capital: Money,
        risk_limit: Money = 100,
    ) -> int:
        binding = bindings.bind(trader(), account_id, strategy_name, allocated_capital, risk_limit)
        return binding.pk

    @translating()
    def list_account_strategies(self, account_id: str) -> list[dict[str, Any]]:
        names = accounts.get(account_id).bindings.values_list(
            "strategy__strategy_name", *rows.BINDING_KEYS
        )
        return rows.binding_rows("strategy_name", names)

    @translating()
    def list_strategy_accounts(self, strategy_name: str) -> list[dict[str, Any]]:
        numbers = strategies.get(strategy_name).bindings.values_list(
            "account__account_id", *rows.BINDING_KEYS
        )
        return rows.binding_rows("account_id", numbers)

    @translating()
    def dump(self) -> dict[str, Any]:
        """Return all accounts and bindings of one moment, in the form of `accounts.json`."""
        own = ("account_id", "account_name", "broker", "environment", "status")
        with transaction.atomic():
            accounts = list(Account.objects.all())
            bindings = list(AccountStrategy.objects.select_related("account", "strategy"))
        return {
            "accounts": {
                one.account_id: {
                    "id": one.pk,
                    **{name: getattr(one, name) for name in own},
                    **{name: _text(getattr(one, name)) for name in rows.ACCOUNT_MONEY},
                    "capital_at": _moment(one.capital_at),
                    "created_at": _moment(one.created_at),
                }
                for one in accounts
            },
            "bindings": [
                {
                    "id": one.pk,
                    "account_id": one.account.account_id,
                    "strategy_name": one.strategy.strategy_name,
                    "allocated_capital": str(one.allocated_capital),
                    "risk_limit": str(one.risk_limit),
                    "status": one.status,
                    "created_at": _moment(one.created_at),
                }
                for one in bindings
            ],
        }


class OrmStrategies(_Relational, StrategyBook):
    @translating()
    def create_strategy(
        self,
        strategy_name: str,
        strategy_code: str,
        strategy_type: str,
        version: str,
        description: str = "",
    ) -> int:
        strategy = strategies.create(
            trader(), strategy_name, strategy_code, strategy_type, version, description
        )
        return strategy.pk

    @translating()
    def list_strategies(self) -> list[dict[str, Any]]:
        own = [key for key in rows.STRATEGY_KEYS if key != "active_version"]
        found = Strategy.objects.values_list(*own, "active_version__version")
        return rows.strategy_rows(found)

    @translating()
    def get_strategy_params(self, strategy_name: str, version: int | None = None) -> dict[str, Any]:
        return strategies.params_of(strategy_name, version)

    @translating()
    def save_strategy_params(
        self, strategy_name: str, params: Mapping[str, Any], remark: str = ""
    ) -> int:
        return strategies.save_params(trader(), strategy_name, params, remark).version

    @translating()
    def activate_strategy_params(self, strategy_name: str, version: int) -> None:
        strategies.activate(trader(), strategy_name, version)

    @translating()
    def compare_strategy_params(
        self, strategy_name: str, version_a: int, version_b: int
    ) -> dict[str, tuple[Any, Any]]:
        return strategies.compare(strategy_name, version_a, version_b).pairs()

    @translating()
    def list_strategy_versions(self, strategy_name: str) -> list[dict[str, Any]]:
        strategy = strategies.get(strategy_name)
        active = strategy.active_version.version if strategy.active_version else None
        found = strategies.versions_of(strategy).values_list(
            "version", "remark", "actor", "created_at"
        )
        return [rows.version_row(*version, active) for version in found]

    @translating()
    def dump(self) -> dict[str, Any]:
        """Return all strategies of one moment, in the form of `strategies.json`."""
        plain = ("strategy_name", "strategy_code", "strategy_type", "version", "status")
        versions: dict[int, list[dict[str, Any]]] = {}
        with transaction.atomic():
            found = list(Strategy.objects.select_related("active_version"))
            saved = ParamVersion.objects.order_by("version").defer("params")
            for one in saved:
                versions.setdefault(one.strategy_id, []).append(
                    {
                        "version": one.version,
                        "remark": one.remark,
                        "created_by": one.actor,
                        "created_at": _moment(one.created_at),
                    }
                )
        return {
            "strategies": {
                one.strategy_name: {
                    "id": one.pk,
                    **{name: getattr(one, name) for name in plain},
                    "description": one.description,
                    "active_version": one.active_version and one.active_version.version,
                    "created_at": _moment(one.created_at),
                    "versions": versions.get(one.pk, []),
                }
                for one in found
            }
        }

    @translating()
    def dump_params(self, strategy_name: str, versions: list[int]) -> dict[int, Any]:
        found = ParamVersion.objects.filter(
            strategy__strategy_name=strategy_name, version__in=versions
        )
        return dict(found.values_list("version", "params"))


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else clock.in_shanghai(moment).isoformat()


_inherited: list[object] = []


def _forget_inherited_connections() -> None:
    """Leave the parent's connections alone in a forked child, which opens its own.

    The socket is turned away before the driver can say goodbye on it: the server would end the
    session of the parent. The objects are kept, since collecting them closes them.
    """
    for wrapper in connections.all(initialized_only=True):
        inherited = wrapper.connection
        if inherited is None:
            continue
        _inherited.append(inherited)
        wrapper.connection = None
        if wrapper.vendor == "mysql":
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, inherited.fileno())
            os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited_connections)
