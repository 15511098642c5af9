"""A second person: what waits, who may decide, and that no path leads around them."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.models import AuditEntry, DecisionOutcome, ParamDecision, ParamVersion
from storage_app.services import approvals, strategies
from storage_app.services.actors import person, trader
from storage_app.stores.orm import OrmStrategies
from tests.factories import make_strategy, make_superuser, make_user

pytestmark = pytest.mark.django_db

APPROVED, REJECTED = DecisionOutcome.APPROVED, DecisionOutcome.REJECTED


@pytest.fixture
def author():
    return person(make_user("developer", username="author"))


@pytest.fixture
def second():
    return person(make_user("developer", username="second"), "10.0.0.2")


@pytest.fixture
def governed():
    return make_strategy("Alpha", {"n": 1}, needs_approval=True)


def test_saved_version_waits_and_the_active_one_stays(governed, author):
    saved = strategies.save_params(author, "Alpha", {"n": 2}, "tuned")

    assert strategies.params_of("Alpha") == {"n": 1}
    assert list(approvals.waiting(governed.versions.all())) == [saved]
    entry = AuditEntry.objects.get()
    assert (entry.entity_key, entry.action, entry.reason) == ("Alpha v2", "create", "tuned")
    assert entry.after == {"needs_approval": True, "params": {"n": 2}, "version": 2}


def test_second_person_makes_it_active_and_leaves_one_entry(governed, author, second):
    strategies.save_params(author, "Alpha", {"n": 2})
    approvals.decide(second, "Alpha", 2, APPROVED, "read it")

    assert strategies.params_of("Alpha") == {"n": 2}
    assert not approvals.waiting(governed.versions.all())
    entry = AuditEntry.objects.first()
    assert AuditEntry.objects.count() == 2
    assert (entry.action, entry.actor, entry.reason, entry.origin) == (
        "approve", "second", "read it", "10.0.0.2",
    )  # fmt: skip
    assert entry.before == {"active_version": 1}
    assert entry.after == {"active_version": 2, "decision": "approved"}


def test_rejected_version_is_never_active(governed, author, second):
    strategies.save_params(author, "Alpha", {"n": 2})
    approvals.decide(second, "Alpha", 2, REJECTED, "too wide")

    assert strategies.params_of("Alpha") == {"n": 1}
    with pytest.raises(Conflict, match="rejected by second: too wide"):
        strategies.activate(second, "Alpha", 2, "anyway")
    with pytest.raises(Conflict, match="was rejected by second already"):
        approvals.decide(second, "Alpha", 2, APPROVED, "changed my mind")
    assert ParamDecision.objects.get().outcome == "rejected"


def test_author_cannot_decide_whatever_their_power(governed):
    for user in (make_user("admin", username="chief"), make_superuser(username="root")):
        saved = strategies.save_params(person(user), "Alpha", {"by": user.username})
        with pytest.raises(PermissionDenied, match="somebody else"):
            approvals.decide(person(user), "Alpha", saved.version, APPROVED, "mine")
    assert strategies.params_of("Alpha") == {"n": 1}


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_permission_is_asked_for(governed, author, role):
    strategies.save_params(author, "Alpha", {"n": 2})
    with pytest.raises(PermissionDenied):
        approvals.decide(person(make_user(role)), "Alpha", 2, APPROVED, "ok")
    assert not ParamDecision.objects.exists()


def test_program_saves_and_cannot_activate_approve_or_lift(governed):
    store = OrmStrategies()
    assert store.save_strategy_params("Alpha", {"n": 2}) == 2
    assert store.get_strategy_params("Alpha") == {"n": 1}
    with pytest.raises(Conflict, match="waits for the approval"):
        store.activate_strategy_params("Alpha", 2)
    with pytest.raises(PermissionDenied):
        approvals.decide(trader(), "Alpha", 2, APPROVED, "robot")
    with pytest.raises(PermissionDenied):
        strategies.update(trader(), "Alpha", {"needs_approval": False}, "robot")
    assert store.get_strategy_params("Alpha") == {"n": 1}


def test_lifting_is_for_governors_and_frees_no_version_that_waits(governed, author):
    strategies.save_params(author, "Alpha", {"n": 2})
    with pytest.raises(PermissionDenied):
        strategies.update(author, "Alpha", {"needs_approval": False}, "in my way")

    governor = person(make_user("admin"))
    strategies.update(governor, "Alpha", {"needs_approval": False}, "one person left")
    with pytest.raises(Conflict, match="waits"):
        strategies.activate(author, "Alpha", 2, "now")
    strategies.save_params(author, "Alpha", {"n": 3})
    assert strategies.params_of("Alpha") == {"n": 3}


def test_versions_of_before_and_approved_ones_are_rolled_back_to(governed, author, second):
    strategies.save_params(author, "Alpha", {"n": 2})
    approvals.decide(second, "Alpha", 2, APPROVED, "ok")
    strategies.activate(author, "Alpha", 1, "worse")
    strategies.activate(author, "Alpha", 2, "better after all")
    assert strategies.params_of("Alpha") == {"n": 2}


def test_what_does_not_wait_is_refused(author, second):
    make_strategy("Alpha", {"n": 1})
    with pytest.raises(InvalidInput, match="needs no approval"):
        approvals.decide(second, "Alpha", 1, APPROVED, "ok")
    with pytest.raises(NotFound):
        approvals.decide(second, "Alpha", 9, APPROVED, "ok")
    with pytest.raises(NotFound):
        approvals.decide(second, "Beta", 1, APPROVED, "ok")
    with pytest.raises(InvalidInput, match="reason"):
        approvals.decide(second, "Alpha", 1, APPROVED, " ")


def test_same_set_again_is_no_version(author):
    make_strategy("Alpha", {"n": 1, "list": [1, 2]})
    assert strategies.save_if_changed(author, "Alpha", {"list": [1, 2], "n": 1}) is None
    assert strategies.save_if_changed(author, "Alpha", {"list": [1, 2], "n": 1.0}).version == 2
    assert ParamVersion.objects.count() == 2
    assert AuditEntry.objects.count() == 1


def test_version_saved_in_between_is_not_overlooked(author, second):
    make_strategy("Alpha", {"n": 1})
    strategies.save_params(second, "Alpha", {"n": 2}, based_on=1)
    with pytest.raises(Conflict, match="second has saved version 2"):
        strategies.save_if_changed(author, "Alpha", {"n": 3}, based_on=1)
    assert strategies.params_of("Alpha") == {"n": 2}
