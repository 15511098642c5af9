from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from storage_app.contract.types import PositionState
from storage_app.models import Account, Strategy, TradeConflict, User
from storage_app.stores.compose import create_data_store
from tests.factories import (
    make_account,
    make_bars,
    make_binding,
    make_conflict,
    make_snapshot,
    make_strategy,
    make_superuser,
    make_trade,
    make_user,
)


@dataclass(frozen=True)
class Desk:
    """Two accounts with data in every store, and a user limited to one of them."""

    mine: Account
    foreign: Account
    strategy: Strategy
    limited: User
    my_trade: str
    foreign_trade: str
    conflict: TradeConflict


@pytest.fixture(autouse=True)
def _static_root(settings, tmp_path):
    """Whitenoise warns, and so fails a test, where nothing was collected."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def store(redis, clickhouse, data_dir):
    store = create_data_store("hybrid")
    yield store
    store.close()


@pytest.fixture
def desk(db, store):
    mine = make_account("10000001", account_name="My account")
    foreign = make_account("20000002", account_name="Foreign account")
    strategy = make_strategy("Breakout", {"slots": 10})
    for account in (mine, foreign):
        make_snapshot(account, date(2026, 3, 2), Decimal("1000000"))
        make_binding(account, strategy)
    make_snapshot(mine, date(2026, 3, 3), Decimal("1012345.67"))
    make_snapshot(foreign, date(2026, 3, 3), Decimal("2222222.22"))
    position = PositionState("600000.SH", 3, 10.8, 9.9, 1000)
    store.replace_positions("10000001", {"600000.SH": position})
    store.replace_positions("20000002/other", {"600036.SH": PositionState("600036.SH", 7, 41.0)})
    my_trade = make_trade(account_id="10000001")
    foreign_trade = make_trade(
        account_id="20000002", code="600036.SH", name="招商银行", order_type="sell_trade"
    )
    store.write_trades([my_trade, foreign_trade])
    store.write_klines(make_bars("600000.SH", days=30, start=date(2026, 2, 2)))
    return Desk(
        mine,
        foreign,
        strategy,
        make_user("trader", accounts=[mine], username="limited"),
        my_trade.trade_uid,
        foreign_trade.trade_uid,
        make_conflict(replace(my_trade, price=Decimal("10.5"), volume=900)),
    )


def signed_in(user, **options):
    client = Client(**options)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def boss(db):
    """A client signed in as superuser, reading English."""
    client = signed_in(make_superuser(username="boss"))
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def limited(desk):
    """A client of the trader who sees one account only."""
    client = signed_in(desk.limited)
    client.cookies["django_language"] = "en"
    return client
