"""Send the trade and bar tables to ClickHouse and everything else to the relational database."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

CLICKHOUSE_APP = "trades_app"
CLICKHOUSE_ALIAS = "clickhouse"


class ClickHouseRouter:
    """Answer for both aliases, never None: a foreign model has no second home."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return _home(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return _home(model._meta.app_label)

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return _home(one._meta.app_label) == _home(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == _home(app_label)


def _home(app_label: str) -> str:
    return CLICKHOUSE_ALIAS if app_label == CLICKHOUSE_APP else "default"
