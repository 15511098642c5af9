"""Who may use which address: every URL and action × role × own and foreign account.

The table is in tests/admin/pages.py; a URL that does not stand there fails the first test.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import ForeignKey, ManyToManyField
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver, reverse
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)
from django_celery_results.models import TaskResult

from storage_app.imports import runs
from storage_app.models import AuditEntry, JobRun, JobStatus
from storage_app.services import accounts, strategies
from storage_app.services.actors import trader
from tests.admin.conftest import signed_in
from tests.admin.pages import (
    ACTIONS,
    APART,
    FOREIGN,
    MODELS,
    NEVER,
    POSTED,
    PUBLIC,
    ROLES,
    all_pages,
    arguments,
)
from tests.factories import make_conflict, make_report, make_superuser, make_user
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
]
EVERYBODY = (*ROLES, "superuser")
# What only the foreign account has, in every store.
SECRETS = ("20000002", "Foreign account", "招商银行", "600036.SH", "2,222,222")
QUESTIONS = ("", "?q=20000002", "?account=20000002&account_id=20000002&all=1")
# Models each of whose rows belongs to an account.
OF_ACCOUNTS = (
    "storage_app_account_",
    "storage_app_accountstrategy_",
    "storage_app_auditentry_",
    "storage_app_jobrun_",
    "storage_app_tradeconflict_",
    "trades_app_trade_",
)
UNNAMED = {
    "": "root",
    "(?P<url>.*)$": "admin_catch_all",
    # Django's old addresses of rows lead to the new ones.
    "<path:object_id>/": "admin_catch_all",
}


@pytest.fixture
def premises(desk):
    """The desk with a row of every other kind, a version that waits, and news of both accounts."""
    desk.strategy.needs_approval = True
    desk.strategy.save()
    strategies.save_params(trader(), desk.strategy.strategy_name, {"slots": 12})
    for account in (desk.mine, desk.foreign):
        changes = {"account_name": f"{account.account_name}."}
        accounts.update(trader(), account.account_id, changes, "renamed")
    entries = AuditEntry.objects.filter(action="change")
    every = IntervalSchedule.objects.create(every=3, period="days")
    rows = {
        "report": make_report(),
        "jobrun": make_import_run(desk.mine),
        "auditentry": entries.get(account_id=desk.mine.account_id),
        "accessattempt": AccessAttempt.objects.create(
            username="x", failures_since_start=1, get_data="", post_data="", http_accept="",
            path_info="", attempt_time=clock.now(),
        ),
        "intervalschedule": every,
        "crontabschedule": CrontabSchedule.objects.create(minute="1"),
        "clockedschedule": ClockedSchedule.objects.create(clocked_time=clock.now()),
        "periodictask": PeriodicTask.objects.create(name="job", task="t", interval=every),
        "taskresult": TaskResult.objects.create(task_id="1"),
    }  # fmt: skip
    return SimpleNamespace(
        mine=desk.mine,
        foreign=desk.foreign,
        strategy=desk.strategy,
        limited=desk.limited,
        my_trade=desk.my_trade,
        foreign_trade=desk.foreign_trade,
        conflict=desk.conflict,
        foreign_conflict=make_conflict(account_id="20000002", name="招商银行", code="600036.SH"),
        foreign_entry=entries.get(account_id=desk.foreign.account_id),
        foreign_run=make_import_run(desk.foreign),
        rows=rows,
    )


def make_import_run(account):
    """Return an import of an account under way, which has rejected something."""
    run = JobRun.objects.create(
        job="run_import", day=clock.today(), slot=account.account_id,
        account_id=account.account_id, status=JobStatus.RUNNING,
    )  # fmt: skip
    runs.rejects_of(run).mkdir(parents=True)
    return run


def somebody(role, accounts=()):
    """Return a user of a role and a client signed in as them, reading English."""
    user = make_superuser() if role == "superuser" else make_user(role, accounts=accounts)
    client = signed_in(user, raise_request_exception=True)
    client.cookies["django_language"] = "en"
    return user, client


def may(role, roles):
    return roles is not NEVER and (role == "superuser" or role in roles)


def address(name, desk, user=None, foreign=False):
    return reverse(f"admin:{name}", args=arguments(name, desk, user, foreign))


def names_of_all_urls():
    found, pending = set(), [*get_resolver().url_patterns]
    while pending:
        one = pending.pop()
        if isinstance(one, URLPattern):
            found.add(one.name or UNNAMED[str(one.pattern)])
        else:
            pending += one.url_patterns
    return found


def test_every_url_stands_in_the_table_and_the_table_in_the_urls():
    known = all_pages().keys() | POSTED.keys() | APART.keys() | PUBLIC
    assert names_of_all_urls() - known == set()
    assert known - names_of_all_urls() == set()


def test_every_action_of_a_list_stands_in_the_table():
    request = RequestFactory().get("/")
    request.user = make_superuser()
    for model, one in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert set(one.get_actions(request)) == ACTIONS.get(name, set()), name


def test_every_page_of_a_row_of_an_account_is_tried_with_a_foreign_one():
    of_rows = {
        name
        for name, roles in all_pages().items()
        if name.startswith(OF_ACCOUNTS) and roles is not NEVER
        and not name.endswith(("_changelist", "_add", "_export", "_start", "_suggest"))
    }  # fmt: skip
    assert of_rows - FOREIGN == set()


@pytest.mark.parametrize("role", EVERYBODY)
def test_each_role_opens_its_pages_and_no_others(premises, role):
    user, client = somebody(role)
    wrong = {}
    for name, roles in all_pages().items():
        status = client.get(address(name, premises, user)).status_code
        if status not in ((200, 302) if may(role, roles) else (403,)):
            wrong[name] = status
    assert wrong == {}


def test_strangers_are_asked_to_sign_in_everywhere(premises):
    client = Client()
    for name in [*all_pages(), *POSTED]:
        for answer in (
            client.get(address(name, premises)), client.post(address(name, premises), {}),
        ):  # fmt: skip
            assert answer.status_code == 302, name
            assert answer.url.startswith("/admin/login/"), name


@pytest.mark.parametrize("role", EVERYBODY)
def test_nobody_changes_anything_by_posting_where_they_may_not(premises, role):
    user, client = somebody(role)
    before = AuditEntry.objects.count()
    for name, roles in all_pages().items():
        model, _, verb = name.rpartition("_")
        if model in MODELS and verb in ("change", "delete", "add"):
            roles = MODELS[model][("add", "change", "delete").index(verb) + 1]
        if not may(role, roles):
            sent = {"reason": "forced", "post": "yes", "action": "delete_selected"}
            answer = client.post(address(name, premises, user), sent)
            # A page that only shows a row shows it again, whatever is sent.
            is_shown = verb == "change" and may(role, all_pages()[name])
            fine = (200, 403) if is_shown else (403, 405)
            assert answer.status_code in fine, (name, answer.status_code)
    for name in ACTIONS:
        if not may(role, MODELS[name][3]):
            row = premises.rows[name.rpartition("_")[2]]
            sent = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
            client.post(address(f"{name}_changelist", premises, user), sent)
            assert type(row).objects.filter(pk=row.pk).exists()
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("role", ROLES)
def test_a_foreign_account_is_not_found_at_any_address(premises, role):
    user, client = somebody(role, [premises.mine])
    before = AuditEntry.objects.count()
    for name in sorted(FOREIGN):
        where = address(name, premises, user, foreign=True)
        for answer in (
            client.get(where, follow=True),
            client.post(where, {"reason": "forced"}, follow=True),
        ):
            text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
            assert [one for one in SECRETS if one in text] == [], name
    premises.foreign.refresh_from_db()
    assert premises.foreign.status == "active"
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("role", ROLES)
def test_no_page_shows_anything_of_a_foreign_account(premises, role):
    user, client = somebody(role, [premises.mine])
    seen = set()
    for name, roles in all_pages().items():
        if not may(role, roles) or name in ("search", "jsi18n"):
            continue
        asked = QUESTIONS if not arguments(name, premises, user) else ("",)
        for query in asked:
            answer = client.get(address(name, premises, user) + query, follow=True)
            text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
            # What one has asked for comes back in the field of the question, and nothing else.
            told = [one for one in SECRETS if one in text and one not in query]
            assert told == [], (name, query)
            seen.add(name)
    assert "storage_app_account_changelist" in seen


def test_a_superuser_finds_what_the_limited_do_not(premises):
    """The secrets looked for above are there to be found."""
    _user, client = somebody("superuser")
    found = set()
    for name in ("index", "positions", "storage_app_account_changelist", "chart_kline",
                 "trades_app_trade_changelist", "storage_app_auditentry_export"):  # fmt: skip
        answer = client.get(address(name, premises))
        text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
        found |= {one for one in SECRETS if one in text}
    assert found == set(SECRETS)


@pytest.mark.parametrize("role", ROLES)
def test_autocomplete_offers_no_account_beyond_the_granted_ones(premises, role):
    _user, client = somebody(role, [premises.mine])
    for model in admin.site._registry:
        for field in model._meta.get_fields():
            if not isinstance(field, ForeignKey | ManyToManyField):
                continue
            answer = client.get(
                reverse("admin:autocomplete"),
                {"app_label": model._meta.app_label, "model_name": model._meta.model_name,
                 "field_name": field.name, "term": ""},
            )  # fmt: skip
            assert answer.status_code in (200, 403, 404), field
            assert [one for one in SECRETS if one in answer.content.decode()] == [], field


def test_no_row_is_viewed_on_the_site():
    assert [
        model
        for model in admin.site._registry
        if callable(getattr(model, "get_absolute_url", None))
    ] == []


@pytest.mark.parametrize("name", POSTED)
def test_what_is_posted_only_does_not_answer_get(premises, name):
    _user, client = somebody("viewer")
    assert client.get(address(name, premises)).status_code == 405


def test_the_public_addresses_tell_strangers_nothing_of_accounts(premises):
    for path in ("/", "/health/", "/admin/", "/i18n/setlang/"):
        text = Client().get(path, follow=True).content.decode()
        assert [one for one in SECRETS if one in text] == []


def test_filters_do_not_reach_beyond_the_granted_accounts(desk, limited):
    trades = limited.get(reverse("admin:trades_app_trade_changelist") + "?code=600036.SH")
    foreign = limited.get(reverse("admin:trades_app_trade_changelist") + "?account=20000002")
    positions = limited.get(reverse("admin:positions") + "?account=20000002")

    assert len(trades.context["cl"].result_list) == 0
    assert "account" in foreign.context["cl"].form.errors
    assert positions.context["positions"].rows == []


def test_search_and_name_lists_stay_within_the_granted_accounts(desk, limited):
    found = limited.get("/admin/search/?s=20000002&extended=1").content.decode()
    filtered = limited.get(reverse("admin:storage_app_account_changelist") + "?q=20000002")
    chart = limited.get(reverse("admin:trades_app_dailykline_chart", args=["600036.SH"]))

    assert "20000002" not in found
    assert list(filtered.context["cl"].result_list) == []
    assert "招商银行" not in chart.content.decode()


def test_marks_on_a_chart_are_the_fills_of_visible_accounts(desk, limited, boss, store):
    url = reverse("admin:chart_kline", args=["600036.SH"])
    from tests.factories import make_bars

    store.write_klines(make_bars("600036.SH", days=3))

    assert limited.get(url).json()["marks"] == []
    assert [mark["side"] for mark in boss.get(url).json()["marks"]] == ["sell"]


def test_an_administrator_cannot_make_a_superuser(desk):
    administrator = make_user("admin")
    client = signed_in(administrator)

    page = client.get(reverse("admin:storage_app_user_change", args=[administrator.pk]))
    client.post(
        reverse("admin:storage_app_user_change", args=[administrator.pk]),
        {"username": administrator.username, "is_active": "on", "is_superuser": "on"},
    )
    administrator.refresh_from_db()

    assert 'name="is_superuser"' not in page.content.decode()
    assert not administrator.is_superuser


def test_an_administrator_cannot_change_a_superuser(desk, boss):
    from storage_app.models import User

    chief = User.objects.get(username="boss")
    client = signed_in(make_user("admin"))

    password = client.get(reverse("admin:auth_user_password_change", args=[chief.pk]))
    client.post(reverse("admin:storage_app_user_change", args=[chief.pk]), {"username": "renamed"})
    chief.refresh_from_db()

    assert password.status_code == 403
    assert chief.username == "boss"


def test_every_permission_of_the_roles_exists(desk):
    make_user("admin")
    assert Permission.objects.filter(group__name="admin").count() > 20
