"""Strategies, users, sign-in and audit as people use them; every page in both themes."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse

from storage_app.models import Account, DecisionOutcome, Strategy, User
from storage_app.services import approvals, bindings, strategies
from storage_app.services.actors import person
from tests.browser.conftest import PASSWORD, PHONE
from tests.factories import make_user, restore_roles

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

POLICY = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
SCREENS = pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [(None, False, "zh-hans"), (PHONE, True, "en")],
    ids=["desktop-light-chinese", "phone-dark-english"],
)
FIRST = {
    "slot_count": 10,
    "stop_loss": 0.96,
    "is_live": True,
    "note": "问财选股，剔除 ST",
    "levels": [0.96, 1.02, 1.2],
    "white_prefixes": ["00", "30", "60"],
    "buy": {"begin": "14:47", "end": "14:57", "limit": 3},
}


@pytest.fixture
def office(demo):
    """A governed strategy with four versions, the newest waiting, and people of each role."""
    restore_roles()
    wang = make_user("developer", username="wang", real_name="王开发", password=PASSWORD)
    account = Account.objects.get()
    make_user("trader", accounts=[account], username="li", real_name="李交易", password=PASSWORD)
    boss, author = person(demo), person(wang)
    strategies.create(
        boss, "问财选股", "wencai_pool", "wencai", "1.4.0", "尾盘选股", "新策略",
        needs_approval=False,
    )  # fmt: skip
    for remark, changes in (
        ("初始参数", {}),
        ("放宽止损", {"stop_loss": 0.95, "levels": [0.95, 1.02, 1.2]}),
        ("多开仓位", {"slot_count": 12, "buy": {"begin": "14:45", "end": "14:57", "top": 5}}),
    ):
        strategies.save_params(author, "问财选股", FIRST | changes, remark)
    strategies.update(boss, "问财选股", {"needs_approval": True}, "实盘前须复核")
    strategies.save_params(author, "问财选股", FIRST | {"slot_count": 30}, "加仓试验")
    approvals.decide(boss, "问财选股", 4, DecisionOutcome.REJECTED, "风险过大")
    strategies.save_params(author, "问财选股", FIRST | {"slot_count": 15, "fresh": 1}, "适度加仓")
    bindings.bind(boss, account.account_id, "问财选股", 100_000, 30, "试运行")
    return Strategy.objects.get()


def speak(me, language):
    if me.page.get_attribute("html", "lang") != language:
        me.page.click(f".sq-languages button[value={language}]")
        me.settle()


def fits(me):
    wide = me.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, (me.page.url, wide)


def barriers(me):
    """Return what keeps people from using the page, by axe-core's word serious or critical."""
    found = Axe().run(me.page).response["violations"]
    return [
        (one["id"], node["html"][:160], node.get("failureSummary", "")[:200])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def url(name, *args):
    return reverse(f"admin:{name}", args=args)


def pages_of(office, user):
    """Return name → address of every kind of page there is."""
    pk = office.pk
    account = Account.objects.get()
    return {
        "dashboard": url("index"),
        "positions": url("positions"),
        "accounts": url("storage_app_account_changelist"),
        "account": url("storage_app_account_change", account.pk),
        "account_add": url("storage_app_account_add"),
        "trades": url("trades_app_trade_changelist"),
        "kline": url("trades_app_dailykline_chart", "600809.SH"),
        "strategies": url("storage_app_strategy_changelist"),
        "strategy": url("storage_app_strategy_change", pk),
        "strategy_add": url("storage_app_strategy_add"),
        "version": url("storage_app_strategy_version", pk, 3),
        "new_version_form": url("storage_app_strategy_new_version", pk),
        "new_version_json": url("storage_app_strategy_new_version", pk) + "?mode=json",
        "compare": url("storage_app_strategy_compare", pk) + "?a=1&b=3",
        "activate": url("storage_app_strategy_activate", pk, 1),
        "approve": url("storage_app_strategy_approve", pk, 5),
        "bindings": url("storage_app_accountstrategy_changelist"),
        "binding": url("storage_app_accountstrategy_change", office.bindings.get().pk),
        "users": url("storage_app_user_changelist"),
        "user": url("storage_app_user_change", user.pk),
        "user_add": url("storage_app_user_add"),
        "user_password": url("auth_user_password_change", user.pk),
        "groups": url("auth_group_changelist"),
        "group": url("auth_group_change", Group.objects.get(name="trader").pk),
        "audit": url("storage_app_auditentry_changelist"),
        "audit_entry": url("storage_app_auditentry_change", office.pk),
        "security": url("security"),
        "second_factor": url("second_factor_setup"),
        "password": url("password_change"),
        "failed_sign_ins": url("axes_accessattempt_changelist"),
        "jobs": url("django_celery_beat_periodictask_changelist"),
        "job_add": url("django_celery_beat_periodictask_add"),
        "job_results": url("django_celery_results_taskresult_changelist"),
        "reports": url("storage_app_report_changelist"),
        "conflicts": url("storage_app_tradeconflict_changelist"),
    }


@SCREENS
def test_every_page_keeps_the_policy_and_is_without_barriers(
    visit, office, viewport, dark, language
):
    me = visit(viewport=viewport, dark=dark)
    theme = f"{'dark' if dark else 'light'}_{'phone' if viewport else 'desktop'}"
    policies = {}
    me.page.on(
        "response",
        lambda answer: (
            policies.setdefault(answer.url, answer.headers.get("content-security-policy"))
            if answer.request.is_navigation_request()
            else None
        ),
    )
    me.open("/admin/login/")
    found = {"login": barriers(me)}
    me.keep(f"login_{theme}")
    me.sign_in()
    speak(me, language)
    for name, where in pages_of(office, User.objects.get(username="li")).items():
        me.open(where)
        me.keep(f"{name}_{theme}")
        found[name] = barriers(me)
        if not (viewport and name in ("job_add", "jobs")):
            fits(me)

    assert [f"{name}: {one}" for name, told in found.items() for one in told] == []
    assert len(policies) > 30
    assert set(policies.values()) == {POLICY} == {settings.CONTENT_POLICY}
