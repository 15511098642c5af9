"""Who may open which page: every page × every role, and nobody another one's account."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.urls import URLPattern, reverse

from tests.admin.conftest import signed_in
from tests.factories import make_conflict, make_job_run, make_report, make_user

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
]

ROLES = ("admin", "developer", "trader", "viewer")
ALL = frozenset(ROLES)
TRADES = frozenset({"admin", "trader", "viewer"})
TRADERS = frozenset({"admin", "trader"})
STRATEGISTS = frozenset({"admin", "developer"})
ADMINS = frozenset({"admin"})
NOBODY = frozenset()

# Name of the page → who may open it; every page has an entry.
PAGES = {
    "index": ALL,
    "positions": ALL,
    "chart_equity": ALL,
    "chart_kline": TRADES,
    "kline_search": TRADES,
    "trades_app_dailykline_chart": TRADES,
    "trades_app_dailykline_changelist": TRADES,
    "trades_app_trade_changelist": TRADES,
    "trades_app_trade_change": TRADES,
    "storage_app_account_changelist": ALL,
    "storage_app_account_change": ALL,
    "storage_app_account_add": ADMINS,
    "storage_app_account_suspend": ADMINS,
    "storage_app_account_resume": ADMINS,
    "storage_app_account_retire": ADMINS,
    "storage_app_strategy_changelist": ALL,
    "storage_app_strategy_change": ALL,
    "storage_app_strategy_compare": ALL,
    "storage_app_strategy_add": STRATEGISTS,
    "storage_app_strategy_activate": STRATEGISTS,
    "storage_app_strategy_new_version": STRATEGISTS,
    "storage_app_strategy_deploy": STRATEGISTS,
    "storage_app_strategy_test": STRATEGISTS,
    "storage_app_strategy_retire": STRATEGISTS,
    "storage_app_accountstrategy_changelist": ALL,
    "storage_app_accountstrategy_change": ALL,
    "storage_app_accountstrategy_add": ADMINS,
    "storage_app_accountstrategy_pause": ADMINS,
    "storage_app_accountstrategy_resume": ADMINS,
    "storage_app_accountstrategy_unbind": ADMINS,
    "storage_app_tradeconflict_changelist": TRADES,
    "storage_app_tradeconflict_change": TRADES,
    "storage_app_tradeconflict_keep": TRADERS,
    "storage_app_tradeconflict_take": TRADERS,
    "storage_app_tradeconflict_record_both": TRADERS,
    "storage_app_report_changelist": frozenset({"admin", "trader"}),
    "storage_app_report_repair": ADMINS,
    "storage_app_jobrun_changelist": TRADERS,
    "storage_app_jobrun_change": TRADERS,
    "storage_app_jobrun_progress": TRADERS,
    "storage_app_jobrun_rejects": TRADERS,
    "storage_app_jobrun_start": ADMINS,
    "storage_app_jobrun_cancel": ADMINS,
    "storage_app_auditentry_changelist": ADMINS,
    "storage_app_user_changelist": ADMINS,
    "storage_app_user_change": ADMINS,
    "storage_app_user_add": ADMINS,
    "storage_app_user_unlock": ADMINS,
    "auth_user_password_change": ADMINS,
    "auth_group_changelist": ADMINS,
    "auth_group_change": ADMINS,
    "auth_group_add": ADMINS,
    "auth_group_delete": ADMINS,
    "axes_accessattempt_changelist": NOBODY,
    "django_celery_beat_periodictask_changelist": NOBODY,
    "django_celery_beat_crontabschedule_changelist": NOBODY,
    "django_celery_beat_intervalschedule_changelist": NOBODY,
    "django_celery_beat_clockedschedule_changelist": NOBODY,
    "django_celery_results_taskresult_changelist": NOBODY,
}
# Open to everybody signed in, by Django's own design, or without a page of their own.
COMMON = {
    "login", "logout", "password_change", "password_change_done", "jsi18n", "app_list", "search",
    "autocomplete", "view_on_site", None,
}  # fmt: skip


def names_of_pages():
    patterns, _app, _namespace = admin.site.urls
    found = set()
    pending = list(patterns)
    while pending:
        one = pending.pop()
        if isinstance(one, URLPattern):
            found.add(one.name)
        else:
            pending += one.url_patterns
    return found


def arguments(name, desk, user):
    """Return what the address of a page needs, all of it the user's own or visible."""
    if name.endswith(("_changelist", "_add", "_start", "index", "positions", "kline_search")):
        return []
    exact = {
        "chart_equity": [desk.mine.account_id],
        "chart_kline": ["600000.SH"],
        "trades_app_dailykline_chart": ["600000.SH"],
        "trades_app_trade_change": [desk.my_trade],
        "storage_app_strategy_activate": [desk.strategy.pk, 1],
    }
    by_model = {
        "accountstrategy": desk.mine.bindings.get().pk,
        "account": desk.mine.pk,
        "strategy": desk.strategy.pk,
        "group": user.groups.get().pk,
        "user": user.pk,
        "tradeconflict": desk.conflict.pk,
        "report": make_report().pk,
        "jobrun": make_job_run(account_id=desk.mine.account_id).pk,
    }
    return exact.get(name) or [by_model[re.sub("^(storage_app|auth)_", "", name).split("_")[0]]]


def test_every_page_of_the_admin_stands_in_the_table():
    # Django gives every model these; what the table says of the list holds for them too.
    follow_the_list = ("_change", "_add", "_delete", "_history")
    lists = {name.removesuffix("_changelist") for name in PAGES if name.endswith("_changelist")}
    unknown = {
        name
        for name in names_of_pages() - COMMON - PAGES.keys()
        if not any(name == f"{one}{end}" for one in lists for end in follow_the_list)
    }

    assert unknown == set()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_its_pages_and_no_others(desk, role):
    user = make_user(role)
    client = signed_in(user)

    opened, refused = set(), set()
    for name in PAGES:
        answer = client.get(reverse(f"admin:{name}", args=arguments(name, desk, user)))
        assert answer.status_code in (200, 302, 403), (name, answer.status_code)
        (refused if answer.status_code == 403 else opened).add(name)

    expected = {name for name, roles in PAGES.items() if role in roles}
    # Leads on without showing anything.
    assert opened - {"kline_search"} == expected - {"kline_search"}


def test_pages_ask_strangers_to_sign_in(desk, client):
    user = make_user("viewer")
    for name in PAGES:
        answer = client.get(reverse(f"admin:{name}", args=arguments(name, desk, user)))
        assert answer.status_code == 302, name
        assert answer.url.startswith("/admin/login/"), name


def test_lists_show_the_granted_accounts_only(desk, limited):
    make_conflict(account_id="20000002", name="招商银行")
    for name in (
        "index",
        "positions",
        "storage_app_account_changelist",
        "storage_app_accountstrategy_changelist",
        "trades_app_trade_changelist",
        "storage_app_tradeconflict_changelist",
    ):
        text = limited.get(reverse(f"admin:{name}")).content.decode()
        assert "10000001" in text or "My account" in text, name
        assert "20000002" not in text, name
        assert "Foreign account" not in text, name
        assert "招商银行" not in text, name


def test_a_guessed_address_of_a_foreign_account_shows_nothing(desk, limited):
    binding = desk.foreign.bindings.get()
    foreign_conflict = make_conflict(account_id="20000002", name="招商银行")
    for name, args in (
        ("storage_app_account_change", [desk.foreign.pk]),
        ("storage_app_account_history", [desk.foreign.pk]),
        ("storage_app_accountstrategy_change", [binding.pk]),
        ("chart_equity", [desk.foreign.account_id]),
        ("trades_app_trade_change", [desk.foreign_trade]),
        ("storage_app_tradeconflict_change", [foreign_conflict.pk]),
        ("storage_app_tradeconflict_take", [foreign_conflict.pk]),
    ):
        answer = limited.get(reverse(f"admin:{name}", args=args), follow=True)
        text = answer.content.decode()
        assert "Foreign account" not in text, name
        assert "招商银行" not in text, name
        assert "2,222,222" not in text, name


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


def test_reports_tell_of_the_accounts_in_reach_only(desk, limited):
    assert limited.get(reverse("admin:storage_app_report_changelist")).status_code == 200


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
