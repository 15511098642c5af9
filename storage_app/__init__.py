"""The service layer that trading code imports.

    from storage_app import create_data_store

Importing does nothing by itself; the first store sets Django up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage_app.contract.roles import DataStore

__all__ = (
    "ClickHouseStore",
    "FileStore",
    "HybridStore",
    "MySQLStore",
    "RedisStore",
    "create_data_store",
)


def create_data_store(
    mode: str | None = None, config: Mapping[str, Any] | None = None
) -> DataStore:
    """Return the store of `mode` (file, redis, mysql, clickhouse, hybrid; None: the setting)."""
    from storage_app.stores.compose import create_data_store as create

    return create(mode, config)


def FileStore(config: Mapping[str, Any] | None = None) -> DataStore:
    return create_data_store("file", config)


def RedisStore(config: Mapping[str, Any] | None = None) -> DataStore:
    return create_data_store("redis", config)


def MySQLStore(config: Mapping[str, Any] | None = None) -> DataStore:
    return create_data_store("mysql", config)


def ClickHouseStore(config: Mapping[str, Any] | None = None) -> DataStore:
    return create_data_store("clickhouse", config)


def HybridStore(config: Mapping[str, Any] | None = None) -> DataStore:
    return create_data_store("hybrid", config)
