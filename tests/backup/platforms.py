"""A platform with something in every store, and a look at it that owes nothing to the backup."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pandas as pd
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_redis import get_redis_connection

from storage_app import create_data_store
from storage_app.models import Account as Account
from storage_app.models import SignInSession
from storage_app.services import audit, capital
from storage_app.services.actors import Actor
from tests import factories
from trades_app.market import clock

APPS = {"storage_app", "auth", "admin", "django_celery_beat", "otp_totp", "otp_static"}
# Rows that a restore adds by itself, and what belongs to the installation.
OWN_TRACES = {"storage_app_report", "storage_app_auditentry"}
# Migrations number permissions and content types anew in each database.
BY_NAME = {
    "auth_group_permissions": "SELECT t.id, t.group_id, {names} FROM auth_group_permissions t",
    "platform_user_user_permissions": (
        "SELECT t.id, t.user_id, {names} FROM platform_user_user_permissions t"
    ),
}
NAMES = "p.codename, c.app_label, c.model"
JOIN = (
    " JOIN auth_permission p ON p.id = t.permission_id "
    "JOIN django_content_type c ON c.id = p.content_type_id"
)
LEFT_OUT = {
    "django_content_type",
    "auth_permission",
    "django_session",
    "django_migrations",
    "django_celery_beat_periodictasks",
    "storage_app_jobrun",
    "platform_session",
}
MOMENT = datetime(2026, 3, 2, 15, 2, 3, 456789, tzinfo=clock.SHANGHAI)


def fill(data_dir):
    """Fill every store, through the store where it can; return the account number."""
    account = factories.make_account("55009728", account_name="稳健 “甲” 组")
    factories.make_account("55009728-paper", environment="paper")
    factories.make_snapshot(account, date(2026, 2, 27), Decimal("999999.99"), source="import")
    capital.update_capital(
        Actor("trader"), account.account_id, "400000.01", "1000000.01", "600000", MOMENT
    )
    strategy = factories.make_strategy("Alpha", {"线": [1, 2.5, None], "深": {"a": [True]}})
    factories.make_strategy("Beta")
    factories.make_binding(account, strategy, allocated_capital=Decimal("1.05"))
    user = factories.make_user("trader", accounts=[account], username="小王", real_name="王小明")
    factories.make_superuser(username="root")
    factories.make_conflict()
    from django.db import transaction

    with transaction.atomic():
        audit.created(Actor("小王", origin="测试"), strategy, "one  line  and ' quotes \\")
    TOTPDevice.objects.create(user=user, name="phone")
    SignInSession.objects.create(session_key="k", expire_date=MOMENT, user=user)
    user.user_permissions.add(Permission.objects.get(codename="view_report"))
    _fill_market()
    _fill_positions()
    (data_dir / "calendar.csv").write_text("trade_date\n2026-03-02\n2026-03-03\n")
    return account.account_id


def _fill_market():
    store = create_data_store("clickhouse")
    trades = [
        factories.make_trade(
            price=f"{10 + n / 1000:.3f}",
            timestamp=datetime(2024 + n % 3, 3, 4, 9, 31, n % 60, 789000, tzinfo=clock.SHANGHAI)
            + timedelta(days=n % 5),
            trade_id=f"T{n}",
            account_id="55009728" if n % 4 else "55009728-paper",
            remark="备注 “x”",
        )
        for n in range(50)
    ]
    store.write_trades(trades)
    store.write_trades(trades)
    for code in ("600000.SH", "000001.SZ", "430047.BJ"):
        store.write_klines(factories.make_bars(code, days=30), source="akshare")
        store.write_klines(factories.make_bars(code, days=5), source="mootdx")
    store.write_klines(
        factories.make_bars("600000.SH", days=9, first_close=-1).assign(amount=1), "qfq"
    )
    factors = pd.DataFrame(
        {
            "code": ["600000.SH"],
            "ex_date": [date(2026, 3, 3)],
            "factor": [Decimal("1.234567891")],
        }
    )
    store.write_adjust_factors(factors, "tushare")
    store.close()


def _fill_positions():
    store = create_data_store("redis")
    for book in ("55009728", "55009728/test"):
        store.open_positions(book, ["600000.SH", "000001.SZ"])
        store.raise_extremes(book, {"600000.SH": (10.5, 9.999)})
        store.all_held_inc(book)
    store.apply_fill(
        "55009728", "600036.SH", "BUY", 300, "35.2", trade_id="F1", timestamp=clock.now()
    )
    store.close()


def look():
    """Return all there is as plain values, read by SQL and raw commands."""
    return {**_relational(), **_clickhouse(), **_redis()}


def _relational():
    tables = {
        model._meta.db_table: [field.column for field in model._meta.concrete_fields]
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in APPS
    }
    found = {}
    with connection.cursor() as cursor:
        for table, columns in tables.items():
            if table not in LEFT_OUT:
                names = ", ".join(map(connection.ops.quote_name, sorted(columns)))
                by_name = BY_NAME.get(table, "").format(names=NAMES)
                cursor.execute(by_name + JOIN if by_name else f"SELECT {names} FROM {table}")
                found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def _clickhouse():
    found = {}
    with connections["clickhouse"].cursor() as cursor:
        for table in ("trade", "daily_kline", "adjust_factor"):
            cursor.execute(f"SELECT * FROM {table} FINAL")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def _redis():
    client = get_redis_connection("positions")
    found = {}
    for key in client.scan_iter("*"):
        kind = client.type(key)
        if kind == "hash":
            found[f"redis {key}"] = client.hgetall(key)
        elif kind == "zset":
            found[f"redis {key}"] = client.zrange(key, 0, -1, withscores=True)
        else:
            found[f"redis {key}"] = client.smembers(key)
    return found


def empty():
    """Lose everything, as a new installation after its migrations has nothing."""
    from django.core.management import call_command

    call_command("flush", interactive=False, verbosity=0)
    with connections["clickhouse"].cursor() as cursor:
        for table in ("trade", "daily_kline", "adjust_factor"):
            cursor.execute(f"TRUNCATE TABLE {table}")
    get_redis_connection("positions").flushdb()
