from __future__ import annotations

import pytest
from django.apps import apps

from trades_app.router import ClickHouseRouter

ROUTER = ClickHouseRouter()
MODELS = apps.get_models(include_auto_created=True)


def test_every_model_has_exactly_one_home():
    for model in MODELS:
        label = model._meta.app_label
        homes = [db for db in ("default", "clickhouse") if ROUTER.allow_migrate(db, label)]
        assert homes == [ROUTER.db_for_read(model)] == [ROUTER.db_for_write(model)]


def test_trades_and_bars_live_in_clickhouse_and_nothing_else_does():
    at_home = {m._meta.model_name for m in MODELS if ROUTER.db_for_read(m) == "clickhouse"}
    assert at_home == {"trade", "dailykline", "adjustfactor"}


def test_relations_across_databases_are_refused():
    trade = apps.get_model("trades_app.Trade")()
    account = apps.get_model("storage_app.Account")()
    assert ROUTER.allow_relation(account, account)
    assert not ROUTER.allow_relation(trade, account)


@pytest.mark.parametrize("database", ["default", "clickhouse"])
@pytest.mark.parametrize("app", ["trades_app", "storage_app", "auth", "unknown_app"])
def test_migrations_are_answered_with_yes_or_no(database, app):
    assert ROUTER.allow_migrate(database, app) in (True, False)


@pytest.mark.django_db(databases=["default", "clickhouse"])
def test_tables_stand_where_the_router_says():
    from django.db import connections

    relational = set(connections["default"].introspection.table_names())
    columnar = set(connections["clickhouse"].introspection.table_names())
    assert {"trade", "daily_kline", "adjust_factor"} <= columnar
    assert not columnar & {"storage_app_account", "auth_group", "django_session"}
    assert {"storage_app_account", "platform_user"} <= relational
    assert not relational & {"trade", "daily_kline", "adjust_factor"}
