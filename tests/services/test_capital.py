from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from storage_app.contract.errors import InvalidInput, NotFound
from storage_app.models import AccountSnapshot, AuditEntry
from storage_app.services import accounts, capital
from storage_app.services.actors import trader
from storage_app.services.capital import DayCapital, SnapshotCount
from tests.factories import make_account
from trades_app.market import clock

pytestmark = pytest.mark.django_db

FRIDAY = date(2026, 2, 27)
MONDAY = date(2026, 3, 2)


def snapshots():
    return list(
        AccountSnapshot.objects.order_by("trade_date").values_list("trade_date", "total_assets")
    )


def test_capital_of_a_day_is_one_snapshot_and_no_audit_entry(trading_morning):
    make_account("55009728")
    capital.update_capital(trader(), "55009728", 100, 300, 200)
    capital.update_capital(trader(), "55009728", 0, 250, 250)
    snapshot = AccountSnapshot.objects.get()
    assert (snapshot.trade_date, snapshot.total_assets) == (MONDAY, Decimal(250))
    assert (snapshot.current_capital, snapshot.source) == (Decimal(0), "trader")
    assert not AuditEntry.objects.exists()


def test_capital_on_a_closed_day_belongs_to_the_last_trading_day():
    make_account("55009728")
    for day in (28, 27):
        sunday = datetime(2026, 2, day, 12, tzinfo=clock.SHANGHAI)
        capital.update_capital(trader(), "55009728", 1, day, day - 1, sunday)
    assert snapshots() == [(FRIDAY, Decimal(28))]


def test_late_capital_fills_its_own_day_and_leaves_the_newer_state_alone(trading_morning):
    make_account("55009728")
    capital.update_capital(trader(), "55009728", 1, 3, 2)
    friday_noon = trading_morning - timedelta(days=3)
    capital.update_capital(trader(), "55009728", 1, 2, 1, friday_noon)
    assert snapshots() == [(FRIDAY, Decimal(2)), (MONDAY, Decimal(3))]
    assert accounts.get("55009728").total_assets == Decimal(3)


def test_import_counts_add_up_and_again_it_adds_nothing():
    make_account("55009728")
    rows = [
        DayCapital(FRIDAY, "100"),
        DayCapital(FRIDAY, 101.5),
        DayCapital(MONDAY, Decimal("102.004"), 2, 100),
    ]
    assert capital.import_snapshots(trader(), "55009728", rows) == SnapshotCount(2, 0, 1)
    assert snapshots() == [(FRIDAY, Decimal("101.50")), (MONDAY, Decimal("102.00"))]
    assert AuditEntry.objects.get().after == {"source": "import", "snapshots": 2}
    assert capital.import_snapshots(trader(), "55009728", rows) == SnapshotCount(0, 2, 1)
    assert AuditEntry.objects.count() == 1


def test_import_does_not_touch_what_the_trading_program_recorded(trading_morning):
    make_account("55009728")
    capital.update_capital(trader(), "55009728", 0, 500, 500)
    rows = [DayCapital(FRIDAY, 1), DayCapital(MONDAY, 2)]
    assert capital.import_snapshots(trader(), "55009728", rows) == SnapshotCount(1, 0, 1)
    assert snapshots() == [(FRIDAY, Decimal(1)), (MONDAY, Decimal(500))]
    assert accounts.get("55009728").total_assets == Decimal(500)


def test_changed_import_replaces_the_older_one_and_the_trader_replaces_both(trading_morning):
    make_account("55009728")
    capital.import_snapshots(trader(), "55009728", [DayCapital(MONDAY, 1)])
    changed = capital.import_snapshots(trader(), "55009728", [DayCapital(MONDAY, 2)])
    assert changed == SnapshotCount(1, 0, 0)
    capital.update_capital(trader(), "55009728", 3, 3, 0)
    assert snapshots() == [(MONDAY, Decimal(3))]


def test_newest_imported_day_becomes_the_capital_with_its_gaps_unknown():
    make_account("55009728")
    capital.import_snapshots(
        trader(), "55009728", [DayCapital(MONDAY, 7), DayCapital(FRIDAY, 5, 1, 4)]
    )
    account = accounts.get("55009728")
    assert (account.total_assets, account.current_capital) == (Decimal(7), None)


def test_import_that_breaks_a_rule_writes_nothing():
    make_account("55009728")
    with pytest.raises(InvalidInput):
        capital.import_snapshots(
            trader(), "55009728", [DayCapital(MONDAY, 1), DayCapital(FRIDAY, -1)]
        )
    with pytest.raises(InvalidInput, match="trader"):
        capital.import_snapshots(trader(), "55009728", [DayCapital(MONDAY, 1)], "trader")
    with pytest.raises(NotFound):
        capital.import_snapshots(trader(), "55009729", [])
    assert snapshots() == []


def test_long_history_takes_few_queries(django_assert_max_num_queries):
    make_account("55009728")
    rows = [DayCapital(date(2020, 1, 1) + timedelta(days=n), n + 1) for n in range(1200)]
    with django_assert_max_num_queries(25):
        assert capital.import_snapshots(trader(), "55009728", rows).new == 1200
