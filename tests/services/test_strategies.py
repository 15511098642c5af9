from __future__ import annotations

import pytest

from storage_app.contract.errors import InvalidInput, NotFound
from storage_app.models import AuditEntry, ParamVersion
from storage_app.services import strategies
from storage_app.services.actors import person, trader
from tests.factories import make_strategy, make_user

pytestmark = pytest.mark.django_db


def test_saving_parameters_tells_what_was_active_before_and_who_saved():
    developer = make_user("developer", username="wang")
    make_strategy("Alpha", {"n": 1})
    saved = strategies.save_params(person(developer, "10.0.0.9"), "Alpha", {"n": 2}, "tuned")
    entry = AuditEntry.objects.get()
    assert (entry.entity, entry.entity_key, entry.reason) == ("paramversion", "Alpha v2", "tuned")
    assert entry.before == {"active_version": 1, "params": {"n": 1}}
    assert entry.after == {"active_version": 2, "params": {"n": 2}}
    assert (saved.created_by, saved.actor) == (developer, "wang")


def test_version_outlives_the_name_of_a_program_that_saved_it():
    make_strategy("Alpha")
    saved = strategies.save_params(trader(), "Alpha", {})
    assert saved.created_by is None
    assert saved.actor.startswith("trader@")


def test_rolling_back_points_to_the_old_version_and_says_so():
    make_strategy("Alpha", {"n": 1})
    strategies.save_params(trader(), "Alpha", {"n": 2})
    strategies.activate(trader(), "Alpha", 1, "2 lost money")
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.reason) == ("activate", "2 lost money")
    assert entry.before == {"active_version": "Alpha v2"}
    assert entry.after == {"active_version": "Alpha v1"}
    assert ParamVersion.objects.count() == 2


def test_activating_the_active_version_changes_nothing():
    make_strategy("Alpha", {"n": 1})
    strategies.activate(trader(), "Alpha", 1)
    assert not AuditEntry.objects.exists()


def test_edit_reaches_the_description_and_leaves_name_and_code():
    make_strategy("Alpha", description="old")
    strategies.update(
        trader(), "Alpha", {"description": "new\nlines", "version": "1.2.3"}, "release"
    )
    assert AuditEntry.objects.get().after == {"description": "new\nlines", "version": "1.2.3"}
    for changes in ({"strategy_name": "Beta"}, {"strategy_code": "b"}, {"status": "active"}):
        with pytest.raises(InvalidInput, match="cannot be edited"):
            strategies.update(trader(), "Alpha", changes, "release")


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        (["active"], "active"),
        (["active", "testing", "inactive"], "active"),
        (["inactive", "testing", "active", "inactive"], "inactive"),
    ],
)
def test_retired_strategy_comes_back_through_testing(path, refused):
    make_strategy("Alpha")
    for status in path:
        strategies.set_status(trader(), "Alpha", status, "as decided")
    with pytest.raises(InvalidInput, match="cannot go"):
        strategies.set_status(trader(), "Alpha", refused, "as decided")
    assert strategies.get("Alpha").status == path[-1]
    assert AuditEntry.objects.filter(action="status").count() == len(path)


def test_comparison_tells_added_removed_and_changed_apart():
    make_strategy("Alpha", {"same": 0, "gone": 1, "changed": 1})
    strategies.save_params(trader(), "Alpha", {"same": 0, "new": 2, "changed": 1.0})
    found = strategies.compare("Alpha", 1, 2)
    assert (found.added, found.removed, found.changed) == (
        {"new": 2},
        {"gone": 1},
        {"changed": (1, 1.0)},
    )


def test_reading_parameters_is_one_query(django_assert_num_queries):
    make_strategy("Alpha", {"n": 1})
    make_strategy("Empty")
    with django_assert_num_queries(1):
        assert strategies.params_of("Alpha") == {"n": 1}
    with django_assert_num_queries(1):
        assert strategies.params_of("Alpha", 1) == {"n": 1}
    with django_assert_num_queries(1):
        assert strategies.params_of("Empty") == {}
    for arguments in (("Gamma",), ("Gamma", 1), ("Alpha", 2), ("Empty", 1)):
        with django_assert_num_queries(1), pytest.raises(NotFound):
            strategies.params_of(*arguments)
