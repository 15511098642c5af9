"""Strategies, users, sign-in and audit as people use them; every page in both themes."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from storage_app.models import Account, DecisionOutcome, Strategy, User
from storage_app.services import access, approvals, bindings, second_factor, strategies
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


def sign_in_as(me, username):
    me.open("/admin/login/")
    me.page.fill("#id_username", username)
    me.page.fill("#id_password", PASSWORD)
    me.page.click("#login-form button")
    me.settle()


def sign_out(me):
    me.page.evaluate("document.querySelector('#logout-form').submit()")
    me.settle()


def press(me, selector):
    me.page.click(selector)
    me.settle()


@SCREENS
def test_parameters_are_written_in_the_form_and_approved_by_somebody_else(
    visit, office, viewport, dark, language
):
    me = visit(viewport=viewport, dark=dark)
    name = f"{language}_{'phone' if viewport else 'desktop'}"
    sign_in_as(me, "wang")
    speak(me, language)
    me.open(url("storage_app_strategy_new_version", office.pk))
    me.page.fill("#id_value-0", "20")
    me.page.fill("#id_value-4", "[0.95,\n 1.1")
    press(me, "#version-form button[data-kind=primary]")
    assert me.page.is_visible("#typed .errorlist, #typed [id$=_error], #typed .text-red-600")
    me.keep(f"flow_form_error_{name}")

    me.page.fill("#id_value-4", "[0.95, 1.1]")
    me.page.fill("#id_remark", "浏览器中修改")
    press(me, "#version-form button[data-kind=primary]")
    assert "v6" in me.text("#versions")
    assert office.versions.count() == 6
    office.refresh_from_db()
    assert office.active_version.version == 3
    me.keep(f"flow_waiting_{name}")
    assert not me.page.query_selector(
        f"a[href='{url('storage_app_strategy_approve', office.pk, 6)}']"
    )

    sign_out(me)
    sign_in_as(me, "admin")
    me.open(url("storage_app_strategy_change", office.pk))
    press(me, f"#versions a[href='{url('storage_app_strategy_approve', office.pk, 6)}']")
    assert "20" in me.text("#differences")
    me.page.fill("#id_reason", "已复核")
    me.keep(f"flow_approve_{name}")
    press(me, "form.sq-panel button[data-kind=primary]")
    office.refresh_from_db()
    assert office.active_version.version == 6
    assert office.active_version.params["slot_count"] == 20
    me.keep(f"flow_approved_{name}")

    press(me, f"#versions a[href='{url('storage_app_strategy_activate', office.pk, 3)}']")
    me.page.fill("#id_reason", "回滚")
    press(me, "form.sq-panel button[data-kind=primary]")
    office.refresh_from_db()
    assert office.active_version.version == 3
    fits(me)


@SCREENS
def test_a_version_is_exported_and_read_back_from_its_file(
    visit, office, tmp_path, viewport, dark, language
):
    me = visit(viewport=viewport, dark=dark)
    sign_in_as(me, "wang")
    speak(me, language)
    me.open(url("storage_app_strategy_version", office.pk, 1))
    with me.page.expect_download() as download:
        me.page.click("a[href$='/export/yaml/']")
    file = tmp_path / "v1.yaml"
    download.value.save_as(file)
    file.write_text(file.read_text().replace("slot_count: 10", "slot_count: 11"))

    me.open(url("storage_app_strategy_new_version", office.pk))
    me.page.set_input_files("#id_file", file)
    press(me, "#file-form button")
    assert "11" in me.text("#differences")
    me.keep(f"flow_import_{language}_{'phone' if viewport else 'desktop'}")
    fits(me)
    press(me, "#version-form button[data-kind=primary]")

    assert office.versions.order_by("-version").first().params == FIRST | {"slot_count": 11}


@SCREENS
def test_a_second_factor_is_set_up_asked_for_and_sessions_are_ended(
    visit, office, viewport, dark, language
):
    user = User.objects.get(username="li")
    access.require_second_factor(
        person(User.objects.get(username="admin")), Group.objects.get(name="trader"), True
    )
    me = visit(viewport=viewport, dark=dark)
    name = f"{language}_{'phone' if viewport else 'desktop'}"
    sign_in_as(me, "li")
    speak(me, language)
    assert "/security/set-up/" in me.page.url
    device = TOTPDevice.objects.get(user=user)
    me.keep(f"flow_set_up_{name}")
    me.page.fill("#id_code", f"{totp(device.bin_key, drift=-1):06d}")
    press(me, "#code-form button[data-kind=primary]")
    codes = me.text("#recovery-codes").split()
    assert len(codes) == second_factor.RECOVERY_CODES
    assert barriers(me) == []
    me.keep(f"flow_recovery_codes_{name}")

    other = visit(viewport=viewport, dark=dark)
    sign_in_as(other, "li")
    assert "/security/code/" in other.page.url
    other.page.fill("#id_code", "r0000000")
    press(other, "#code-form button[data-kind=primary]")
    assert "/security/code/" in other.page.url
    assert barriers(other) == []
    other.keep(f"flow_code_{name}")
    StaticDevice.objects.update(throttling_failure_count=0)
    other.page.fill("#id_code", codes[0])
    press(other, "#code-form button[data-kind=primary]")
    assert other.page.url.endswith("/admin/")

    me.open(url("security"))
    assert len(me.page.query_selector_all("#sessions tbody tr")) == 2
    me.keep(f"flow_sessions_{name}")
    press(me, "#sessions button")
    assert len(me.page.query_selector_all("#sessions tbody tr")) == 1
    fits(me)
    other.open("/admin/")
    assert "/login/" in other.page.url


@SCREENS
def test_a_locked_person_is_unlocked_and_the_trail_tells_and_exports_it(
    visit, office, viewport, dark, language
):
    thief = visit(viewport=viewport, dark=dark)
    for _attempt in range(5):
        thief.open("/admin/login/")
        thief.page.fill("#id_username", "li")
        thief.page.fill("#id_password", "wrong")
        thief.page.click("#login-form button")
        thief.settle()
    thief.keep(f"flow_locked_{language}_{'phone' if viewport else 'desktop'}")
    # The refusal itself is an error to the browser.
    thief.complaints.clear()

    me = visit(viewport=viewport, dark=dark)
    sign_in_as(me, "admin")
    speak(me, language)
    user = User.objects.get(username="li")
    me.open(url("storage_app_user_changelist"))
    assert me.page.is_visible("#result_list [data-tone=bad]")
    me.keep(f"flow_users_{language}_{'phone' if viewport else 'desktop'}")
    me.open(url("storage_app_user_unlock", user.pk))
    me.page.fill("#id_reason", "本人来电")
    press(me, "form.sq-panel button[data-kind=primary]")
    me.open(url("storage_app_auditentry_changelist") + "?q=本人来电")
    assert "本人来电" in me.text("#result_list")
    with me.page.expect_download() as download:
        me.page.click("#export")
    text = download.value.path().read_text("utf-8-sig")
    assert text.count("\n") == 2
    assert "本人来电" in text
