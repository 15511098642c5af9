"""Bring Django up for a plain script, and hold a caller's `config` against the settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings

from storage_app import log_files
from storage_app.contract.errors import InvalidInput

# Process-wide, so they apply only while Django is not set up yet.
SERVER_KEYS = tuple(
    f"{server}_{name}"
    for server, names in {
        "redis": ("host", "port", "password", "db"),
        "mysql": ("host", "port", "user", "password", "database"),
        "clickhouse": ("host", "port", "user", "password", "database"),
    }.items()
    for name in names
)
STORE_KEYS = (
    "data_store_mode",
    "data_dir",
    "enable_dual_write",
    "enable_auto_fallback",
    "claim_books",
)

# Its client counts in whole seconds.
MYSQL_SECONDS = 1

_DATABASE_FIELDS = {
    "host": "HOST",
    "port": "PORT",
    "user": "USER",
    "password": "PASSWORD",
    "database": "NAME",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from store to store within one process."""

    mode: str
    data_dir: Path
    dual_write: bool
    auto_fallback: bool
    claims: bool


def prepare(mode: str | None, config: Mapping[str, Any]) -> Options:
    """Set Django up if nobody did, apply or compare `config`, and return the store's options."""
    unknown = sorted(set(config) - set(SERVER_KEYS) - set(STORE_KEYS))
    if unknown:
        known = ", ".join(STORE_KEYS + SERVER_KEYS)
        raise InvalidInput(f"unknown config {', '.join(unknown)}; known are {known}")
    servers = {key: config[key] for key in SERVER_KEYS if key in config}
    if not settings.configured:
        _set_environment(servers)
    if not apps.ready:
        _set_up(Path(config.get("data_dir", settings.DATA_DIR)))
    _refuse_other_servers(servers)
    return Options(
        mode=str(mode or config.get("data_store_mode") or settings.DATA_STORE_MODE),
        data_dir=Path(config.get("data_dir", settings.DATA_DIR)),
        dual_write=_switch(config, "enable_dual_write", settings.ENABLE_DUAL_WRITE),
        auto_fallback=_switch(config, "enable_auto_fallback", settings.ENABLE_AUTO_FALLBACK),
        claims=_switch(config, "claim_books", settings.CLAIM_BOOKS),
    )


def _set_up(data_dir: Path) -> None:
    _bound_mysql(settings.DATABASES["default"])
    # Django would close the handlers that the script has.
    settings.LOGGING_CONFIG = None
    django.setup()
    if settings.LOG_FILES:
        log_files.attach(data_dir / "log", settings.LOG_LEVEL)


def _bound_mysql(database: dict[str, Any]) -> None:
    """Let a trading program wait no longer for an answer; pages and commands have more time."""
    if "mysql" in database["ENGINE"]:
        database["OPTIONS"] |= {"read_timeout": MYSQL_SECONDS, "write_timeout": MYSQL_SECONDS}


def _set_environment(servers: Mapping[str, Any]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    os.environ.update({key.upper(): str(value) for key, value in servers.items()})


def _refuse_other_servers(servers: Mapping[str, Any]) -> None:
    for key, wanted in servers.items():
        if str(wanted) != str(_server_setting(key)):
            raise InvalidInput(
                f"{key} differs from the one this process already uses; servers are chosen once "
                "per process, by the environment or by the first create_data_store()"
            )


def _server_setting(key: str) -> Any:
    server, _, name = key.partition("_")
    if server == "redis":
        return getattr(settings, key.upper())
    alias = "clickhouse" if server == "clickhouse" else "default"
    return settings.DATABASES[alias].get(_DATABASE_FIELDS[name], "")


def _switch(config: Mapping[str, Any], key: str, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"{key} must be True or False, not {value!r}")
    return value
