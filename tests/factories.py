"""Rows for tests; each factory fills in what the test does not care about.

Django models are imported inside, so that plain tests may import this module without Django.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from itertools import count

import pandas as pd

from storage_app.contract.identity import new_trade
from trades_app.market import clock

_numbers = count(1)

PASSWORD = "correct horse"


def unique(prefix=""):
    return f"{prefix}{next(_numbers):06d}"


def make_account(account_id=None, **fields):
    """An account as a row, without the audit entry that the service would leave."""
    from storage_app.models import Account

    account_id = account_id or unique("acc")
    values = {
        "account_name": f"Account {account_id}",
        "broker": "QMT",
        "initial_capital": Decimal(1_000_000),
    }
    return Account.objects.create(account_id=account_id, **values | fields)


def make_snapshot(account, trade_date=date(2026, 3, 2), total_assets=Decimal(1_000_000), **fields):
    from storage_app.models import AccountSnapshot

    return AccountSnapshot.objects.create(
        account=account,
        trade_date=trade_date,
        total_assets=total_assets,
        **{"recorded_at": clock.now()} | fields,
    )


def make_strategy(strategy_name=None, params=None, **fields):
    """A strategy as a row; with `params` it has them as version 1, active."""
    from storage_app.models import ParamVersion, Strategy

    code = unique("strategy_")
    values = {"strategy_code": code, "strategy_type": "technical", "version": "1.0.0"}
    strategy = Strategy.objects.create(strategy_name=strategy_name or code, **values | fields)
    if params is not None:
        strategy.active_version = ParamVersion.objects.create(
            strategy=strategy, version=1, params=params, actor="factory"
        )
        strategy.save()
    return strategy


def make_binding(account, strategy, allocated_capital=Decimal(100_000), **fields):
    from storage_app.models import AccountStrategy

    return AccountStrategy.objects.create(
        account=account, strategy=strategy, allocated_capital=allocated_capital, **fields
    )


def make_user(role=None, accounts=(), username=None, password=PASSWORD, **fields):
    """A member of staff in the group of a role, limited to `accounts` if any are given."""
    from django.contrib.auth.models import Group

    from storage_app.models import AccountGrant, User

    user = User.objects.create(
        username=username or unique(role or "user"),
        password=_hashed(password),
        is_staff=True,
        **fields,
    )
    if role is not None:
        restore_roles()
        user.groups.add(Group.objects.get(name=role))
    for account in accounts:
        AccountGrant.objects.create(user=user, account=account)
    return user


@lru_cache
def _hashed(password):
    """Hash a password once, since a good hash is slow on purpose."""
    from django.contrib.auth.hashers import make_password

    return make_password(password)


def make_superuser(**fields):
    return make_user(is_superuser=True, **fields)


def restore_roles():
    """Seed the groups again, which the flush after a transactional test takes away."""
    from django.apps import apps
    from django.contrib.auth.models import Group

    if not Group.objects.filter(name="viewer").exists():
        migrations = "storage_app.migrations"
        import_module(f"{migrations}.0002_roles").seed_roles(apps, None)
        import_module(f"{migrations}.0004_conflict_roles").seed_conflict_roles(apps, None)
        import_module(f"{migrations}.0005_report_kinds_and_repair").seed_repair_roles(apps, None)
        import_module(f"{migrations}.0007_job_roles").seed_job_roles(apps, None)
        import_module(f"{migrations}.0009_governance_roles").seed_governance_roles(apps, None)
        import_module(f"{migrations}.0010_account_numbers").seed_number_roles(apps, None)


def make_trade(**fields):
    """A fill of 1000 shares of 600000.SH at 10 yuan on 2026-03-02 at 09:31, ready to write."""
    values = {
        "account_id": "55009728",
        "timestamp": datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI),
        "code": "600000.SH",
        "name": "浦发银行",
        "order_type": "buy_trade",
        "remark": "买入成交",
        "price": "10",
        "volume": 1000,
        "trade_id": unique("T"),
    }
    return new_trade(**values | fields)


def make_job_run(**fields):
    """An import of today that nobody has begun."""
    from storage_app.models import JobRun

    values = {"job": "run_import", "day": clock.today(), "slot": unique("run")}
    return JobRun.objects.create(**values | fields)


def make_conflict(trade=None, reason="it is already recorded otherwise", **fields):
    """A conflict over a trade that the ledger refused, as the background writer records it."""
    from storage_app.models import TradeConflict
    from storage_app.stores.conflicts import record_conflict

    trade = trade or make_trade(**fields)
    record_conflict(trade, reason)
    return TradeConflict.objects.get(trade_uid=trade.trade_uid)


def make_report(kind="verify", findings=(), **fields):
    from storage_app.models import Report

    values = {"started_at": clock.now(), "finished_at": clock.now(), "actor": "system"}
    values |= {"is_clean": not findings, "findings": list(findings)}
    return Report.objects.create(kind=kind, **values | fields)


def make_bars(code="600000.SH", days=5, start=date(2026, 3, 2), first_close=10.0):
    """`days` rising bars on weekdays from `start`, in the columns that write_klines takes."""
    dates = []
    day = start
    while len(dates) < days:
        if day.weekday() < 5:
            dates.append(int(f"{day:%Y%m%d}"))
        day += timedelta(days=1)
    close = [round(first_close + step / 10, 2) for step in range(days)]
    return pd.DataFrame(
        {
            "code": code,
            "datetime": dates,
            "open": close,
            "high": [round(price + 0.1, 2) for price in close],
            "low": [round(price - 0.1, 2) for price in close],
            "close": close,
            "volume": 100_000,
            "amount": [round(price * 100_000, 2) for price in close],
        }
    )
