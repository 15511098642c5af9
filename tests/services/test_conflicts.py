from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from storage_app.contract import trade_documents
from storage_app.contract.errors import Conflict, InvalidInput, NotFound, Unavailable
from storage_app.contract.types import PriceType
from storage_app.models import AuditEntry, TradeConflict
from storage_app.services import conflicts
from storage_app.services.actors import job, person, trader
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.conflicts import record_conflict
from tests import servers
from tests.factories import make_account, make_conflict, make_trade, make_user
from trades_app.market import clock
from trades_app.models import Trade

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

ACCOUNT = "55009728"


@pytest.fixture
def ledger(clickhouse):
    return ClickHouseTrades()


def refused_trade(ledger):
    """A fill of 1000 shares at 10 yuan in the ledger, and one of 900 at 10.5 that was refused."""
    standing = make_trade(trade_id="T-1", order_id="O-1")
    ledger.write_trades([standing])
    refused = make_trade(trade_id="T-1", order_id="O-1", price="10.5", volume=900)
    with pytest.raises(Conflict) as refusal:
        ledger.write_trades([refused])
    conflict = make_conflict(refused, str(refusal.value))
    return conflict, standing, refused


def rows_of(ledger):
    return {row["trade_uid"]: row for row in ledger.query_trades(ACCOUNT)}


def trader_of(*numbers, **fields):
    accounts = [make_account(number) for number in numbers]
    return person(make_user("trader", accounts=accounts, **fields))


class TestDecisions:
    def test_keeping_the_ledgers_row_leaves_the_ledger_as_it_is(self, ledger):
        conflict, standing, _ = refused_trade(ledger)
        before = list(Trade.objects.values_list("ingested_at", flat=True))

        conflicts.resolve(trader(), conflict.pk, "kept", "broker says so", ledger)

        assert list(Trade.objects.values_list("ingested_at", flat=True)) == before
        assert ledger.find_trade(standing) == standing
        conflict.refresh_from_db()
        assert (conflict.resolution, conflict.why) == ("kept", "broker says so")
        assert conflict.standing == trade_documents.to_document(standing)

    def test_taking_the_refused_row_puts_it_in_the_place_of_the_other(self, ledger):
        conflict, standing, refused = refused_trade(ledger)

        conflicts.resolve(trader(), conflict.pk, "taken", "contract note 17", ledger)

        (row,) = rows_of(ledger).values()
        assert (row["trade_uid"], row["price"], row["volume"]) == (standing.trade_uid, 10.5, 900)
        assert (row["amount"], row["source"]) == (9450.0, "correction")
        # What the host still has is no conflict any more; what the other had is one.
        assert ledger.write_trades([refused]).same == 1
        with pytest.raises(Conflict):
            ledger.write_trades([standing])

    def test_a_correction_wins_over_a_row_from_a_host_whose_clock_is_ahead(
        self, ledger, clickhouse
    ):
        conflict, _, _ = refused_trade(ledger)
        ahead = datetime.now(UTC) + timedelta(hours=3)
        with clickhouse.cursor() as cursor:
            cursor.execute(
                "INSERT INTO trade SELECT * REPLACE "
                f"(fromUnixTimestamp64Micro({int(ahead.timestamp() * 1e6)}) AS ingested_at) "
                "FROM trade"
            )

        conflicts.resolve(trader(), conflict.pk, "taken", "contract note 17", ledger)

        (row,) = rows_of(ledger).values()
        assert row["price"] == 10.5

    def test_recording_both_gives_the_refused_row_a_uid_of_its_own(self, ledger):
        conflict, standing, refused = refused_trade(ledger)

        conflicts.resolve(trader(), conflict.pk, "both", "two fills, one number", ledger)

        rows = rows_of(ledger)
        assert set(rows) == {standing.trade_uid, conflicts.twin_uid(conflict)}
        twin = rows[conflicts.twin_uid(conflict)]
        assert (twin["price"], twin["trade_id"], twin["order_id"]) == (10.5, "T-1", "O-1")
        assert rows[standing.trade_uid]["price"] == 10.0
        # The host that was refused may come again; nothing is recorded a third time.
        record_conflict(refused, "again")
        assert TradeConflict.objects.count() == 1

    def test_both_fills_count_in_the_sums(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        conflicts.resolve(trader(), conflict.pk, "both", "two fills, one number", ledger)
        (month,) = ledger.aggregate_trades(ACCOUNT, "2026-03-01", "2026-03-31")
        assert (month["trade_count"], month["total_amount"]) == (2, 19450.0)

    def test_a_decision_is_in_the_audit_trail_with_what_it_changed(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        actor = trader_of(ACCOUNT, username="lin")

        conflicts.resolve(actor, conflict.pk, "taken", "contract note 17", ledger)

        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.action, entry.entity) == ("lin", "repair", "tradeconflict")
        assert (entry.account_id, entry.reason) == (ACCOUNT, "contract note 17")
        assert conflict.trade_uid in entry.entity_key
        changed = {"price": "10.000", "resolution": "", "source": "trader", "volume": 1000}
        assert entry.before == changed
        changed = {"price": "10.500", "resolution": "taken", "source": "correction", "volume": 900}
        assert entry.after == changed

    def test_a_row_that_the_ledger_lost_can_be_put_back_and_not_kept(self, ledger, clickhouse):
        conflict, _, refused = refused_trade(ledger)
        with clickhouse.cursor() as cursor:
            cursor.execute("TRUNCATE TABLE trade")

        for resolution, error in (("kept", NotFound), ("both", InvalidInput)):
            with pytest.raises(error):
                conflicts.resolve(trader(), conflict.pk, resolution, "why", ledger)
        conflicts.resolve(trader(), conflict.pk, "taken", "table was lost", ledger)

        assert list(rows_of(ledger)) == [refused.trade_uid]
        conflict.refresh_from_db()
        assert conflict.standing is None

    def test_rows_that_no_longer_differ_are_not_recorded_twice(self, ledger):
        conflict, _, refused = refused_trade(ledger)
        ledger.correct_trade(refused)
        with pytest.raises(InvalidInput, match="no two different rows"):
            conflicts.resolve(trader(), conflict.pk, "both", "why", ledger)
        conflicts.resolve(trader(), conflict.pk, "kept", "corrected by hand", ledger)
        assert len(rows_of(ledger)) == 1


class TestOnce:
    def test_the_same_decision_of_the_same_person_again_changes_nothing(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        for _ in range(2):
            conflicts.resolve(trader(), conflict.pk, "both", "two fills", ledger)
        assert len(rows_of(ledger)) == 2
        assert AuditEntry.objects.count() == 1

    def test_a_decided_conflict_is_not_decided_again(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        conflicts.resolve(trader_of(ACCOUNT, username="lin"), conflict.pk, "kept", "why", ledger)
        with pytest.raises(Conflict, match="lin has decided"):
            conflicts.resolve(trader(), conflict.pk, "kept", "why", ledger)
        with pytest.raises(Conflict, match="lin has decided"):
            conflicts.resolve(trader(), conflict.pk, "taken", "why", ledger)
        assert AuditEntry.objects.count() == 1

    def test_nothing_is_decided_while_the_ledger_does_not_answer(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        servers.CLICKHOUSE.stop()
        try:
            for resolution in ("kept", "taken", "both"):
                with pytest.raises(Unavailable):
                    conflicts.resolve(trader(), conflict.pk, resolution, "why", ledger)
        finally:
            servers.CLICKHOUSE.start()
        conflict.refresh_from_db()
        assert not conflict.is_resolved
        assert not AuditEntry.objects.exists()

    def test_a_write_that_fails_decides_nothing(self, ledger):
        conflict, standing, _ = refused_trade(ledger)

        class FailingWrites(ClickHouseTrades):
            def correct_trade(self, trade):
                raise Unavailable("clickhouse", "gone in the middle")

        with pytest.raises(Unavailable):
            conflicts.resolve(trader(), conflict.pk, "taken", "why", FailingWrites())
        conflict.refresh_from_db()
        assert not conflict.is_resolved
        assert ledger.find_trade(standing) == standing

    def test_each_refused_row_of_a_trade_is_a_conflict_of_its_own(self, ledger):
        first, _, refused = refused_trade(ledger)
        record_conflict(replace(refused, volume=800), "another one")
        record_conflict(refused, "found again, told otherwise")
        second = TradeConflict.objects.exclude(pk=first.pk).get()

        conflicts.resolve(trader(), first.pk, "taken", "why", ledger)
        conflicts.resolve(trader(), second.pk, "taken", "why", ledger)

        (row,) = rows_of(ledger).values()
        assert row["volume"] == 800
        second.refresh_from_db()
        assert second.standing["volume"] == 900


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_two_people_at_once_decide_once(ledger):
    conflict, _, _ = refused_trade(ledger)
    people = [person(make_user("trader", username=f"trader-{n}")) for n in range(4)]
    start, outcomes = threading.Barrier(len(people)), []

    def decide(actor, resolution):
        start.wait()
        try:
            conflicts.resolve(actor, conflict.pk, resolution, "mine", ledger)
        except Conflict as exc:
            outcomes.append(exc)
        else:
            outcomes.append(resolution)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=decide, args=(actor, resolution))
        for actor, resolution in zip(people, ("taken", "both", "kept", "taken"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = [one for one in outcomes if isinstance(one, str)]
    conflict.refresh_from_db()
    assert conflict.resolution == winner
    assert AuditEntry.objects.count() == 1
    assert len(rows_of(ledger)) == (2 if winner == "both" else 1)


class TestWhoMayDecide:
    @pytest.mark.parametrize("role", ["admin", "trader"])
    def test_administrators_and_traders_may(self, ledger, role):
        conflict, _, _ = refused_trade(ledger)
        conflicts.resolve(person(make_user(role)), conflict.pk, "kept", "why", ledger)
        conflict.refresh_from_db()
        assert conflict.is_resolved

    @pytest.mark.parametrize("role", ["developer", "viewer"])
    def test_developers_and_viewers_may_not(self, ledger, role):
        conflict, _, _ = refused_trade(ledger)
        with pytest.raises(PermissionDenied):
            conflicts.resolve(person(make_user(role)), conflict.pk, "kept", "why", ledger)

    def test_a_trader_of_other_accounts_may_not(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        with pytest.raises(PermissionDenied, match=ACCOUNT):
            conflicts.resolve(trader_of("20000002"), conflict.pk, "taken", "why", ledger)
        assert rows_of(ledger)[conflict.trade_uid]["price"] == 10.0

    def test_a_job_may_not(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        with pytest.raises(InvalidInput, match="a person"):
            conflicts.resolve(job("nightly"), conflict.pk, "kept", "why", ledger)

    def test_nobody_decides_without_a_reason_or_in_words_unknown(self, ledger):
        conflict, _, _ = refused_trade(ledger)
        with pytest.raises(InvalidInput, match="reason"):
            conflicts.resolve(trader(), conflict.pk, "kept", " ", ledger)
        with pytest.raises(InvalidInput, match="kept, taken, both"):
            conflicts.resolve(trader(), conflict.pk, "forget", "why", ledger)
        with pytest.raises(NotFound):
            conflicts.resolve(trader(), conflict.pk + 1, "kept", "why", ledger)

    def test_open_conflicts_are_counted_within_the_accounts_in_reach(self, ledger):
        first, _, _ = refused_trade(ledger)
        near = make_user("trader", accounts=[make_account(ACCOUNT)])
        far = make_user("trader", accounts=[make_account("20000002")])
        assert (conflicts.count_open(near), conflicts.count_open(far)) == (1, 0)
        conflicts.resolve(trader(), first.pk, "kept", "why", ledger)
        assert conflicts.count_open(near) == 0


@given(
    price=st.decimals("0.001", "99999.999", places=3),
    volume=st.integers(1, 10**9),
    minute=st.integers(0, 59),
    millisecond=st.integers(0, 999),
    remark=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
    price_type=st.sampled_from(PriceType),
)
def test_a_trade_survives_its_document(price, volume, minute, millisecond, remark, price_type):
    at = datetime(2026, 3, 2, 9, minute, 0, millisecond * 1000, tzinfo=clock.SHANGHAI)
    trade = make_trade(
        timestamp=at, price=price, volume=volume, remark=remark, price_type=price_type.value
    )
    back = trade_documents.from_document(trade_documents.to_document(trade))
    assert back == trade
    assert trade_documents.differing_fields(back, trade) == []
    assert trade_documents.digest(back) == trade_documents.digest(trade)
    dearer = replace(trade, price=trade.price + 1)
    assert trade_documents.differing_fields(dearer, trade) == ["price"]
    assert trade_documents.digest(dearer) != trade_documents.digest(trade)
