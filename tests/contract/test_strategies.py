from __future__ import annotations

import itertools
import logging
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.parameters import ABSENT
from tests.contract.books import opened
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

PARAMS = {"slot_count": 10, "ratio": 0.05, "name": "回落", "is_on": True, "none": None}


def add_strategy(books, name="Alpha", code="alpha", kind="technical", version="1.0.0"):
    return books.create_strategy(name, code, kind, version, "buys low")


def same_json(a, b):
    """Equal with their types: 1, 1.0 and True are three values."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return type(a) is type(b) and a == b


def test_new_strategy_is_in_testing_and_has_no_parameters(books):
    ident = add_strategy(books)
    assert books.list_strategies() == [
        {
            "id": ident,
            "strategy_name": "Alpha",
            "strategy_code": "alpha",
            "strategy_type": "technical",
            "version": "1.0.0",
            "status": "testing",
            "description": "buys low",
            "active_version": None,
        }
    ]
    assert books.get_strategy_params("Alpha") == {}
    assert books.list_strategy_versions("Alpha") == []


def test_strategies_are_listed_by_name_with_their_active_version(books):
    for name, code in (("问财选股", "wencai"), ("Beta", "beta"), ("alpha", "alpha")):
        add_strategy(books, name, code)
    books.save_strategy_params("Beta", PARAMS)
    books.save_strategy_params("Beta", PARAMS)
    listed = [(row["strategy_name"], row["active_version"]) for row in books.list_strategies()]
    assert listed == [("Beta", 2), ("alpha", None), ("问财选股", None)]


def test_taken_name_or_code_is_a_conflict(books):
    add_strategy(books)
    with pytest.raises(Conflict, match="strategy_name 'Alpha'"):
        add_strategy(books, "Alpha", "other")
    with pytest.raises(Conflict, match="strategy_code 'alpha'"):
        add_strategy(books, "Other", "alpha")
    assert len(books.list_strategies()) == 1


@pytest.mark.parametrize(
    "name", ["ALPHA", "alphä", "Älpha", "alpha１", "🚀🚀🚀", "🌙🌙🌙", "ａlpha"]
)
def test_names_are_exact_in_case_accent_and_width(books, name):
    add_strategy(books)
    add_strategy(books, "alpha1", "other")
    add_strategy(books, "🛰🛰🛰", "rocket")
    with pytest.raises(NotFound):
        books.get_strategy_params(name)
    add_strategy(books, name, "twin")
    books.save_strategy_params(name, {"own": 1})
    assert books.get_strategy_params(name) == {"own": 1}
    assert books.get_strategy_params("Alpha") == {}


def test_space_around_a_name_means_nothing(books):
    add_strategy(books, "  Alpha ")
    books.save_strategy_params(" Alpha", {"a": 1})
    assert books.get_strategy_params("Alpha ") == {"a": 1}
    with pytest.raises(Conflict):
        add_strategy(books, "Alpha  ", "other")


@pytest.mark.parametrize(
    "arguments",
    [
        ("Al", "alpha", "technical", "1.0.0"),
        (" Al ", "alpha", "technical", "1.0.0"),
        ("x" * 101, "alpha", "technical", "1.0.0"),
        ("Al\x00pha", "alpha", "technical", "1.0.0"),
        ("Al\npha", "alpha", "technical", "1.0.0"),
        ("Alpha", "Alpha", "technical", "1.0.0"),
        ("Alpha", "al-pha", "technical", "1.0.0"),
        ("Alpha", "../alpha", "technical", "1.0.0"),
        ("Alpha", "alpha\n", "technical", "1.0.0"),
        ("Alpha", "", "technical", "1.0.0"),
        ("Alpha", "x" * 51, "technical", "1.0.0"),
        ("Alpha", "alpha", "magic", "1.0.0"),
        ("Alpha", "alpha", "technical", "1.0"),
        ("Alpha", "alpha", "technical", "v1.0.0"),
        ("Alpha", "alpha", "technical", "1.0.0\n"),
        ("Alpha", "alpha", "technical", "１.0.0"),
        ("Alpha", "alpha", "technical", "1.0.0", "bell \x07"),
    ],
)
def test_strategy_that_breaks_a_rule_is_refused_and_not_there(books, arguments):
    with pytest.raises(InvalidInput):
        books.create_strategy(*arguments)
    assert books.list_strategies() == []


def test_every_save_is_the_next_version_and_the_active_one(books):
    add_strategy(books)
    assert [books.save_strategy_params("Alpha", {"n": n}) for n in range(5)] == [1, 2, 3, 4, 5]
    assert books.get_strategy_params("Alpha") == {"n": 4}
    assert books.get_strategy_params("Alpha", 2) == {"n": 1}
    assert books.get_strategy_params("Alpha", version=5) == {"n": 4}


def test_versions_of_strategies_are_counted_apart(books):
    for name, code in (("Alpha", "alpha"), ("Alpha v1", "alpha_v1")):
        add_strategy(books, name, code)
    assert books.save_strategy_params("Alpha", {"of": "alpha"}) == 1
    assert books.save_strategy_params("Alpha v1", {"of": "alpha_v1"}) == 1
    assert books.save_strategy_params("Alpha v1", {}) == 2
    assert books.get_strategy_params("Alpha", 1) == {"of": "alpha"}
    assert books.get_strategy_params("Alpha v1", 1) == {"of": "alpha_v1"}


def test_rolling_back_activates_an_old_version_and_the_next_save_goes_on_counting(books):
    add_strategy(books)
    for n in range(1, 4):
        books.save_strategy_params("Alpha", {"n": n})
    books.activate_strategy_params("Alpha", 1)
    assert books.get_strategy_params("Alpha") == {"n": 1}
    assert books.save_strategy_params("Alpha", {"n": 4}) == 4
    assert books.get_strategy_params("Alpha", 1) == {"n": 1}


def test_versions_are_listed_newest_first_with_who_and_when(books):
    add_strategy(books)
    before = clock.now() - timedelta(seconds=1)
    books.save_strategy_params("Alpha", {"a": 1}, "first")
    books.save_strategy_params("Alpha", {"a": 2}, remark=" 调整 ")
    books.activate_strategy_params("Alpha", 1)
    newest, oldest = books.list_strategy_versions("Alpha")
    assert {key: newest[key] for key in ("version", "remark", "is_active")} == {
        "version": 2,
        "remark": "调整",
        "is_active": False,
    }
    assert (oldest["version"], oldest["remark"], oldest["is_active"]) == (1, "first", True)
    assert newest["created_by"].startswith("trader@")
    assert before < oldest["created_at"] <= newest["created_at"] <= clock.now()
    assert newest["created_at"].tzinfo == clock.SHANGHAI


def test_comparison_shows_added_removed_and_changed_keys_only(books):
    add_strategy(books)
    books.save_strategy_params("Alpha", {"same": [1], "gone": 1, "changed": 1, "typed": 1})
    books.save_strategy_params("Alpha", {"same": [1], "new": None, "changed": 2, "typed": True})
    difference = books.compare_strategy_params("Alpha", 1, 2)
    assert difference == {
        "changed": (1, 2),
        "gone": (1, ABSENT),
        "new": (ABSENT, None),
        "typed": (1, True),
    }
    assert list(difference) == sorted(difference)
    assert difference["new"][0] is ABSENT
    assert books.compare_strategy_params("Alpha", 2, 2) == {}
    assert books.compare_strategy_params("Alpha", 2, 1)["new"] == (None, ABSENT)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (PARAMS, PARAMS),
        ({}, {}),
        ({"a": 1, "b": 1.0, "c": True}, {"a": 1, "b": 1.0, "c": True}),
        ({"rows": [(1, "x"), [2]]}, {"rows": [[1, "x"], [2]]}),
        ({"prefixes": {"60", "00", "30"}}, {"prefixes": ["00", "30", "60"]}),
        ({"nested": {"deep": ({1},)}}, {"nested": {"deep": [[1]]}}),
        ({"big": 2**63 - 1, "small": -(2**63)}, {"big": 2**63 - 1, "small": -(2**63)}),
        ({"tiny": 1e-300, "third": 1 / 3}, {"tiny": 1e-300, "third": 1 / 3}),
        ({"": "", "键": "值 🚀 \u0000"}, {"": "", "键": "值 🚀 \u0000"}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 1, "a": {"b": 2}}),
    ],
)
def test_parameters_come_back_with_their_types(books, given, kept):
    add_strategy(books)
    books.save_strategy_params("Alpha", given)
    assert same_json(books.get_strategy_params("Alpha"), kept)


def test_converted_parameters_are_said_so(books, caplog):
    add_strategy(books)
    with caplog.at_level(logging.INFO):
        books.save_strategy_params("Alpha", {"steps": (1, 2), "codes": {"b", "a"}, "plain": [1]})
    said = [record.getMessage() for record in caplog.records if "Alpha" in record.getMessage()]
    assert said == ["Strategy Alpha version 1: steps: tuple to list, codes: set to sorted list"]


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"a": float("nan")}, "'a'"),
        ({"a": {"b": [1, float("-inf")]}}, r"'a\.b\[1\]'"),
        ({"a": {1: "x"}}, "'a'"),
        ({1: "x"}, "key 1"),
        ({"a": object()}, "'a' is a object"),
        ({"a": clock.now()}, "'a' is a datetime"),
        ({"a": b"x"}, "'a' is a bytes"),
        ({"a": {1, "x"}}, "'a' is a set"),
        ({"a": 2**63}, "64 bits"),
        ({"a": "\ud800"}, "Unicode"),
        ({"\ud800": 1}, "Unicode"),
        ({"a": nested(30)}, "deeper"),
        ({"a": "x" * 2**20}, "bytes"),
        ([("a", 1)], "mapping"),
        (None, "mapping"),
    ],
)
def test_parameters_that_json_cannot_hold_are_refused_with_their_path(books, params, path):
    add_strategy(books)
    with pytest.raises(InvalidInput, match=path):
        books.save_strategy_params("Alpha", params)
    assert books.list_strategy_versions("Alpha") == []


def test_what_a_caller_does_with_parameters_later_does_not_reach_the_store(books):
    add_strategy(books)
    params = {"list": [1]}
    books.save_strategy_params("Alpha", params)
    params["list"].append(2)
    books.get_strategy_params("Alpha")["list"].append(3)
    assert books.get_strategy_params("Alpha") == {"list": [1]}


def test_remark_beyond_its_length_is_refused(books):
    add_strategy(books)
    books.save_strategy_params("Alpha", {}, "备" * 200)
    with pytest.raises(InvalidInput, match="remark"):
        books.save_strategy_params("Alpha", {}, "备" * 201)
    assert len(books.list_strategy_versions("Alpha")) == 1


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_strategy_params", ()),
        ("get_strategy_params", (1,)),
        ("save_strategy_params", ({},)),
        ("activate_strategy_params", (1,)),
        ("compare_strategy_params", (1, 1)),
        ("list_strategy_versions", ()),
    ],
)
def test_unknown_strategy_is_not_found(books, method, arguments):
    add_strategy(books)
    with pytest.raises(NotFound, match="'Gamma'"):
        getattr(books, method)("Gamma", *arguments)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_strategy_params", (2,)),
        ("activate_strategy_params", (2,)),
        ("compare_strategy_params", (1, 2)),
        ("compare_strategy_params", (2, 1)),
    ],
)
def test_unknown_version_is_not_found(books, method, arguments):
    add_strategy(books)
    add_strategy(books, "Beta", "beta")
    books.save_strategy_params("Alpha", PARAMS)
    for _ in range(2):
        books.save_strategy_params("Beta", {})
    with pytest.raises(NotFound, match="no parameter version 2"):
        getattr(books, method)("Alpha", *arguments)
    assert books.get_strategy_params("Alpha") == PARAMS


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)
NUMBERS = st.integers(1, 6)


class Versions(RuleBasedStateMachine):
    """A strategy beside a plain list of what was saved."""

    books = None
    serials = itertools.count()

    @initialize()
    def create(self):
        serial = next(self.serials)
        self.name = f"Machine {serial}"
        add_strategy(self.books, self.name, f"machine_{serial}")
        self.saved = []
        self.active = None

    def has(self, *versions):
        return all(version <= len(self.saved) for version in versions)

    @rule(params=st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
    def save(self, params):
        self.saved.append(params)
        self.active = len(self.saved)
        assert self.books.save_strategy_params(self.name, params) == self.active

    @rule(version=NUMBERS)
    def activate(self, version):
        if self.has(version):
            self.books.activate_strategy_params(self.name, version)
            self.active = version
        else:
            with pytest.raises(NotFound):
                self.books.activate_strategy_params(self.name, version)

    @rule(version=NUMBERS)
    def read(self, version):
        if self.has(version):
            stored = self.books.get_strategy_params(self.name, version)
            assert same_json(stored, self.saved[version - 1])
        else:
            with pytest.raises(NotFound):
                self.books.get_strategy_params(self.name, version)

    @rule(a=NUMBERS, b=NUMBERS)
    def compare(self, a, b):
        if not self.has(a, b):
            with pytest.raises(NotFound):
                self.books.compare_strategy_params(self.name, a, b)
            return
        old, new = self.saved[a - 1], self.saved[b - 1]
        pairs = {key: (old.get(key, ABSENT), new.get(key, ABSENT)) for key in old | new}
        differing = {key: pair for key, pair in pairs.items() if not same_json(*pair)}
        found = self.books.compare_strategy_params(self.name, a, b)
        assert same_json(
            {key: list(pair) for key, pair in found.items()},
            {key: list(pair) for key, pair in differing.items()},
        )

    @invariant()
    def the_active_version_is_the_one_that_is_served(self):
        served = self.books.get_strategy_params(self.name)
        assert same_json(served, self.saved[self.active - 1] if self.active else {})
        listed = self.books.list_strategy_versions(self.name)
        assert [row["version"] for row in listed] == list(range(len(self.saved), 0, -1))
        assert [row["version"] for row in listed if row["is_active"]] == [self.active][
            : len(listed)
        ]


def test_versions_behave_like_a_plain_list_under_any_sequence_of_calls(books):
    machine = type("VersionsOfBackend", (Versions,), {"books": books})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def race_to_save(mode, directory, serial):
    with opened(mode, directory) as books:
        return [books.save_strategy_params("Alpha", {"by": serial, "n": n}) for n in range(3)]


def race_to_create(mode, directory, serial):
    with opened(mode, directory) as books:
        return books.create_strategy("Alpha", f"alpha_{serial}", "other", "1.0.0")


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_versions_saved_at_once_are_gapless_and_each_is_what_its_caller_saved(
    shared_books, children
):
    with opened(*shared_books) as books:
        add_strategy(books)
        outcomes = children.race(race_to_save, *shared_books)
        assert {outcome.error for outcome in outcomes} == {""}
        numbers = [version for outcome in outcomes for version in outcome.value]
        assert sorted(numbers) == list(range(1, 49))
        stored = [books.get_strategy_params("Alpha", version) for version in sorted(numbers)]
        assert Counter(params["by"] for params in stored) == dict.fromkeys(range(16), 3)
        for outcome in outcomes:
            saved = [books.get_strategy_params("Alpha", version) for version in outcome.value]
            assert [params["n"] for params in saved] == [0, 1, 2]
            assert len({params["by"] for params in saved}) == 1
        listed = books.list_strategy_versions("Alpha")
    assert [row["version"] for row in listed if row["is_active"]] == [48]


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_one_of_many_who_create_a_strategy_at_once_gets_it(shared_books, children):
    outcomes = children.race(race_to_create, *shared_books)
    assert Counter(outcome.error for outcome in outcomes) == {"": 1, "Conflict": 15}
    with opened(*shared_books) as books:
        assert len(books.list_strategies()) == 1
