from __future__ import annotations

from decimal import Decimal

import pytest

from storage_app.contract.errors import InvalidInput, NotFound
from storage_app.models import AccountStrategy, AuditEntry
from storage_app.services import bindings, strategies
from storage_app.services.actors import trader
from tests.factories import make_account, make_binding, make_strategy

pytestmark = pytest.mark.django_db


@pytest.fixture
def bound():
    """Account 55009728 with 100 yuan, 60 of them with Alpha."""
    account = make_account("55009728", initial_capital=Decimal(100))
    return make_binding(account, make_strategy("Alpha"), Decimal(60))


def test_binding_names_account_and_strategy_in_the_trail():
    make_account("55009728")
    make_strategy("Alpha")
    bindings.bind(trader(), "55009728", "Alpha", 60, "12.5", "first try")
    entry = AuditEntry.objects.get()
    assert (entry.entity, entry.entity_key) == ("accountstrategy", "55009728 / Alpha")
    assert (entry.account_id, entry.reason) == ("55009728", "first try")
    assert entry.after["account"] == "55009728"
    assert entry.after["allocated_capital"] == "60.00"


def test_own_share_does_not_count_against_a_new_one(bound):
    bindings.change(trader(), "55009728", "Alpha", "all in", allocated_capital=100)
    assert AuditEntry.objects.get().before == {"allocated_capital": "60.00"}
    with pytest.raises(InvalidInput):
        bindings.change(trader(), "55009728", "Alpha", "more", allocated_capital="100.01")
    bound.refresh_from_db()
    assert bound.allocated_capital == Decimal(100)


def test_risk_limit_changes_alone(bound):
    bindings.change(trader(), "55009728", "Alpha", "calmer", risk_limit="7.25")
    bound.refresh_from_db()
    assert (bound.risk_limit, bound.allocated_capital) == (Decimal("7.25"), Decimal(60))


def test_paused_strategy_keeps_its_share_and_an_unbound_one_frees_it(bound):
    make_strategy("Beta")
    bindings.pause(trader(), "55009728", "Alpha", "news")
    with pytest.raises(InvalidInput):
        bindings.bind(trader(), "55009728", "Beta", 41)
    bindings.resume(trader(), "55009728", "Alpha", "news is old")
    bindings.unbind(trader(), "55009728", "Alpha", "replaced by Beta")
    bindings.bind(trader(), "55009728", "Beta", 100)
    actions = [entry.action for entry in AuditEntry.objects.order_by("id")]
    assert actions == ["change", "change", "delete", "create"]
    assert AuditEntry.objects.get(action="delete").before["allocated_capital"] == "60.00"


def test_what_is_not_bound_is_not_found(bound):
    make_strategy("Beta")
    for act in (bindings.pause, bindings.resume, bindings.unbind):
        with pytest.raises(NotFound, match="Beta"):
            act(trader(), "55009728", "Beta", "why")
    with pytest.raises(NotFound, match="55009729"):
        bindings.pause(trader(), "55009729", "Alpha", "why")


def test_person_gives_a_reason(bound):
    for act in (bindings.pause, bindings.unbind):
        with pytest.raises(InvalidInput, match="reason"):
            act(trader(), "55009728", "Alpha", "")
    assert AccountStrategy.objects.get().status == "active"


def test_retired_strategy_cannot_be_bound():
    make_account("55009728")
    make_strategy("Alpha")
    strategies.set_status(trader(), "Alpha", "inactive", "does not pay")
    with pytest.raises(InvalidInput, match="retired"):
        bindings.bind(trader(), "55009728", "Alpha", 1)
