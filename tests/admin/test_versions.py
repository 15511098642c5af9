"""Parameter versions: the form, JSON, files, history, comparison, activation, approval."""

from __future__ import annotations

import json

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from storage_app.models import AuditEntry, ParamVersion, Strategy
from storage_app.services import strategies
from storage_app.services.actors import person, trader
from tests.admin.conftest import signed_in
from tests.factories import make_account, make_binding, make_strategy, make_user

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("store"),
]

PARAMS = {
    "slots": 10,
    "stop": 0.95,
    "live": True,
    "note": "放宽",
    "text": "two\nlines",
    "levels": [0.96, 1.2],
    "rules": {"min": 1},
    "nothing": None,
}


def url(name, *args):
    return reverse(f"admin:storage_app_strategy_{name}", args=args)


@pytest.fixture
def strategy(db):
    return make_strategy("Breakout", dict(PARAMS))


def filled(client, strategy, query=""):
    """Return what a browser would send of the typed form as it is shown."""
    form = client.get(url("new_version", strategy.pk) + query).context["form"]
    sent = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if value is True:
            sent[name] = "on"
        elif value not in (None, False):
            sent[name] = str(value)
    return sent


def number_of(name):
    return list(PARAMS).index(name)


def active(strategy):
    return Strategy.objects.select_related("active_version").get(pk=strategy.pk).active_version


def test_the_form_has_a_field_of_the_type_of_each_parameter(boss, strategy):
    page = boss.get(url("new_version", strategy.pk))
    form = page.context["form"]

    kinds = [type(form.fields[f"value-{number}"]).__name__ for number in range(len(PARAMS))]
    assert kinds == [
        "IntegerField", "FloatField", "BooleanField", "TextField", "TextField", "JsonField",
        "JsonField", "JsonField",
    ]  # fmt: skip
    assert "Remove slots" in page.content.decode() or 'name="drop-0"' in page.content.decode()


def test_sending_the_form_untouched_makes_no_version(boss, strategy):
    answer = boss.post(url("new_version", strategy.pk), filled(boss, strategy), follow=True)

    assert ParamVersion.objects.count() == 1
    assert not AuditEntry.objects.exclude(action="login").exists()
    assert "Nothing differs" in answer.content.decode()


def test_values_are_changed_taken_out_and_added_with_their_types(boss, strategy):
    sent = filled(boss, strategy) | {
        f"value-{number_of('slots')}": "12",
        f"value-{number_of('stop')}": "1",
        f"value-{number_of('levels')}": "[1, 2]",
        f"value-{number_of('text')}": "two\r\nlines",
        f"value-{number_of('rules')}": "not JSON at all",
        f"drop-{number_of('rules')}": "on",
        "further": '{"fresh": [1]}',
        "remark": "wider",
    }
    sent.pop(f"value-{number_of('live')}")
    boss.post(url("new_version", strategy.pk), sent)

    saved = active(strategy)
    assert (saved.version, saved.remark, saved.actor) == (2, "wider", "boss")
    expected = PARAMS | {"slots": 12, "stop": 1.0, "levels": [1, 2], "live": False, "fresh": [1]}
    del expected["rules"]
    assert saved.params == expected
    assert type(saved.params["stop"]) is float


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("slots", "1.5", "whole number"),
        ("slots", "99999999999999999999", "less than or equal"),
        ("stop", "nan", "number"),
        ("levels", "[1,\n2", "Line 2, column 2: Expecting"),
        ("levels", "[1,\n2}", "Line 2, column 2"),
        ("levels", '{"a": 1}', "Another type"),
        ("rules", '{"a": 1, "a": 2}', "given twice"),
    ],
)
def test_a_wrong_value_is_shown_at_its_field(boss, strategy, field, text, complaint):
    name = f"value-{number_of(field)}"
    page = boss.post(url("new_version", strategy.pk), filled(boss, strategy) | {name: text})

    assert complaint in str(page.context["form"].errors[name])
    assert ParamVersion.objects.count() == 1


def test_a_further_parameter_of_a_taken_name_is_refused(boss, strategy):
    page = boss.post(
        url("new_version", strategy.pk), filled(boss, strategy) | {"further": '{"slots": 1}'}
    )
    assert "slots is there already" in str(page.context["form"].errors["further"])


def test_json_of_the_whole_set_is_saved(boss, strategy):
    boss.post(
        url("new_version", strategy.pk) + "?mode=json",
        {"text": '{"slots": 12, "stop": [0.95]}', "remark": "wider", "based_on": 1},
    )
    assert active(strategy).params == {"slots": 12, "stop": [0.95]}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1,\n "b": }', "Line 2, column 7: Expecting value → &quot;b&quot;: }"),
        ('{"a": 1,\n "a": 2}', "Line 2: a key is given twice: a"),
        ("[1, 2]", "write an object"),
        ("", "required"),
    ],
)
def test_json_that_is_wrong_is_refused_with_the_line(boss, strategy, text, complaint):
    page = boss.post(url("new_version", strategy.pk), {"text": text, "based_on": 1})

    assert complaint in page.content.decode()
    assert ParamVersion.objects.count() == 1


def test_a_version_saved_meanwhile_is_not_run_over(boss, strategy):
    sent = filled(boss, strategy) | {f"value-{number_of('slots')}": "12"}
    strategies.save_params(trader(), "Breakout", {"slots": 11})

    page = boss.post(url("new_version", strategy.pk), sent)

    assert "has saved version 2" in page.content.decode()
    assert active(strategy).params == {"slots": 11}


def test_a_new_version_starts_from_any_older_one(boss, strategy):
    strategies.save_params(trader(), "Breakout", {"other": 1})
    sent = filled(boss, strategy, "?from=1") | {f"value-{number_of('slots')}": "13"}

    boss.post(url("new_version", strategy.pk), sent)

    assert active(strategy).params == PARAMS | {"slots": 13}
    assert boss.get(url("new_version", strategy.pk) + "?from=99").status_code == 404


def test_a_set_too_large_for_fields_is_shown_as_json(boss):
    strategy = make_strategy("Wide", {f"p{number}": number for number in range(400)})
    form = boss.get(url("new_version", strategy.pk)).context["form"]
    assert type(form).__name__ == "JsonForm"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_version_goes_out_and_comes_in_as_a_file(boss, strategy, form):
    out = boss.get(url("export", strategy.pk, 1, form))
    read = json.loads(out.content) if form == "json" else yaml.safe_load(out.content)
    other = make_strategy("Other")
    file = SimpleUploadedFile(f"params.{form}", out.content)

    page = boss.post(url("new_version", other.pk), {"file": file, "load": "1"})
    assert ParamVersion.objects.filter(strategy=other).count() == 0
    shown = page.context["form"]
    boss.post(url("new_version", other.pk), {"text": shown["text"].value(), "based_on": 0})

    assert read == PARAMS
    assert out["Content-Disposition"].endswith(f'_v1.{form}"')
    assert [row.kind for row in page.context["rows"]] == ["added"] * len(PARAMS)
    assert active(other).params == PARAMS


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.yaml", b"a: 1\nb: &x 2\nc: *x\n", "Line 3: references"),
        ("a.json", b'{"a":\n 1,}', "Line 2"),
        ("a.py", b"a = 1", "neither"),
        ("a.yaml", "名: 1".encode("gbk"), "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_parameters_is_refused(boss, strategy, name, content, complaint):
    page = boss.post(
        url("new_version", strategy.pk),
        {"file": SimpleUploadedFile(name, content), "load": "1"},
    )
    assert complaint in str(page.context["file"].errors)
    assert ParamVersion.objects.count() == 1


def test_an_older_version_is_activated_with_a_reason(boss, strategy):
    strategies.save_params(trader(), "Breakout", {"slots": 12})

    asked = boss.get(url("activate", strategy.pk, 1))
    boss.post(url("activate", strategy.pk, 1), {"reason": ""})
    assert active(strategy).version == 2
    boss.post(url("activate", strategy.pk, 1), {"reason": "roll back"})

    assert "slots" in asked.content.decode()
    assert active(strategy).version == 1
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.reason) == ("activate", "roll back")


def test_two_versions_stand_side_by_side_down_to_nested_values(boss):
    strategy = make_strategy(
        "Nested", {"slots": 10, "gone": True, "same": 1, "in": {"a": 1, "b": 2}}
    )
    strategies.save_params(
        trader(), "Nested", {"slots": 12, "new": "x", "same": 1, "in": {"a": 1, "b": 3}}
    )

    page = boss.get(url("compare", strategy.pk))
    everything = boss.get(url("compare", strategy.pk) + "?a=1&b=2&all=1")

    def rows(answer):
        return [(row.kind, row.path, row.before, row.after) for row in answer.context["rows"]]

    assert rows(page) == [
        ("removed", "gone", "true", ""),
        ("changed", "in › b", "2", "3"),
        ("added", "new", "", '"x"'),
        ("changed", "slots", "10", "12"),
    ]
    assert ("same", "same", "1", "1") in rows(everything)
    assert page.context["counts"] == {"added": 1, "removed": 1, "changed": 2, "same": 2}
    assert boss.get(url("compare", strategy.pk) + "?a=1&b=9").status_code == 404
    assert boss.get(url("compare", make_strategy().pk)).status_code == 404


def test_a_second_person_approves_on_a_page_and_the_author_cannot(boss):
    strategy = make_strategy("Governed", {"n": 1}, needs_approval=True)
    author, second = make_user("developer"), make_user("developer")
    strategies.save_params(person(author), "Governed", {"n": 2}, "tuned")

    history = signed_in(second).get(url("change", strategy.pk)).content.decode()
    refused = signed_in(author).post(url("approve", strategy.pk, 2), {"reason": "mine"})
    for role in ("trader", "viewer"):
        page = signed_in(make_user(role)).post(url("approve", strategy.pk, 2), {"reason": "x"})
        assert page.status_code == 403
    blocked = boss.post(url("activate", strategy.pk, 2), {"reason": "anyway"})
    assert active(strategy).version == 1
    signed_in(second).post(url("approve", strategy.pk, 2), {"reason": "read it"})

    assert url("approve", strategy.pk, 2) in history
    assert refused.status_code == 403
    assert "waits for the approval" in blocked.content.decode()
    assert active(strategy).version == 2


def test_a_rejected_version_says_so(boss):
    strategy = make_strategy("Governed", {"n": 1}, needs_approval=True)
    strategies.save_params(trader(), "Governed", {"n": 2})

    boss.post(url("reject", strategy.pk, 2), {"reason": "too wide"})
    page = boss.get(url("version", strategy.pk, 2)).content.decode()

    assert "too wide" in page
    assert "rejected" in page
    assert url("activate", strategy.pk, 2) not in page


def test_approval_is_asked_for_and_lifted_by_governors_only(boss, strategy):
    fields = {"strategy_type": "technical", "version": "1.0.0", "description": "", "reason": "why"}
    developer = signed_in(make_user("developer"))

    developer.post(url("change", strategy.pk), fields | {"needs_approval": "on"})
    assert not Strategy.objects.get().needs_approval
    boss.post(url("change", strategy.pk), fields | {"needs_approval": "on"})
    assert Strategy.objects.get().needs_approval
    developer.post(url("change", strategy.pk), fields)
    assert Strategy.objects.get().needs_approval
    assert AuditEntry.objects.exclude(action="login").count() == 1


def test_who_uses_a_strategy_is_shown_within_the_accounts_of_the_reader(boss, strategy):
    mine, foreign = make_account("10000001"), make_account("20000002")
    for account in (mine, foreign):
        make_binding(account, strategy)

    limited = signed_in(make_user("developer", accounts=[mine]))
    seen = limited.get(url("change", strategy.pk)).content.decode()

    assert "10000001" in seen
    assert "20000002" not in seen
    assert "20000002" in boss.get(url("change", strategy.pk)).content.decode()


def test_two_hundred_versions_cost_no_more_queries_than_two(boss, strategy):
    def queries(name, *args):
        with CaptureQueriesContext(connections["default"]) as captured:
            assert boss.get(url(name, *args)).status_code == 200
        return len(captured)

    strategies.save_params(trader(), "Breakout", {"n": 0})
    pages = (("change", strategy.pk), ("compare", strategy.pk), ("new_version", strategy.pk),
             ("version", strategy.pk, 1))  # fmt: skip
    for page in pages:
        queries(*page)
    few = [queries(*page) for page in pages]
    for number in range(1, 40):
        strategies.save_params(trader(), "Breakout", {"n": number})

    assert [queries(*page) for page in pages] == few
    assert max(few) <= 20
