"""Signing in: the second factor, recovery codes, sessions, and who may touch whose."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from storage_app.models import AuditEntry, SignInSession, User
from storage_app.services import access, second_factor, sessions
from storage_app.services.actors import person
from tests.admin.conftest import signed_in
from tests.factories import PASSWORD, make_account, make_superuser, make_user

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("store"),
]
LOGIN = "/admin/login/"


def url(name, *args):
    return reverse(f"admin:{name}", args=args)


def code_of(user, step=0):
    """Return what the app of a person shows, `step` half minutes from now."""
    device = TOTPDevice.objects.get(user=user)
    return f"{totp(device.bin_key, drift=step):06d}"


def with_second_factor(user):
    """Set up a second factor and return the recovery codes."""
    device = second_factor.begin(user)
    return second_factor.confirm(person(user), user, f"{totp(device.bin_key, drift=-1):06d}")


def password_given(user):
    """Return a client that has given the password of a user in the sign-in form."""
    client = Client(headers={"accept-language": "en", "user-agent": "Mozilla/5.0 Test"})
    client.cookies["django_language"] = "en"
    answer = client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def require(role):
    access.require_second_factor(person(make_superuser()), Group.objects.get(name=role), True)


def test_a_second_factor_is_set_up_with_the_code_of_the_app():
    user = make_user("trader")
    client = password_given(user)

    page = client.get(url("second_factor_setup"))
    secret = page.context["secret"].replace(" ", "")
    wrong = client.post(url("second_factor_setup"), {"code": "000000"})
    TOTPDevice.objects.update(throttling_failure_count=0)
    done = client.post(url("second_factor_setup"), {"code": code_of(user)})

    # With a viewBox it is shown whole at any size.
    assert "<svg" in page.content.decode()
    assert "viewBox" in page.context["picture"]
    assert len(secret) >= 32
    assert "wrong, too old" in wrong.content.decode()
    assert len(done.context["codes"]) == 10
    assert second_factor.standing_of(user).is_set_up
    assert client.get(url("index")).status_code == 200
    entry = AuditEntry.objects.exclude(action="login").get()
    assert (entry.entity_key, entry.after) == (user.username, {"second_factor": "set up"})


def test_a_password_alone_opens_no_page_once_there_is_a_second_factor():
    user = make_user("admin")
    with_second_factor(user)
    client = password_given(user)

    for name in ("index", "security", "second_factor_setup", "storage_app_account_changelist"):
        answer = client.get(url(name))
        assert answer.status_code == 302, name
        assert answer.url.startswith(url("second_factor_check")), name
    for name in ("second_factor_remove", "recovery_codes", "sessions_end", "password_change"):
        assert client.post(url(name)).status_code == 403, name

    wrong = client.post(url("second_factor_check"), {"code": "abc"})
    right = client.post(
        url("second_factor_check"), {"code": code_of(user), "next": url("security")}
    )
    assert wrong.status_code == 200

    assert right.url == url("security")


def test_the_right_code_leads_on_and_counts_once():
    user = make_user("admin")
    with_second_factor(user)
    client, thief = password_given(user), password_given(user)
    code = code_of(user)

    answer = client.post(url("second_factor_check"), {"code": code, "next": url("security")})
    replayed = thief.post(url("second_factor_check"), {"code": code})

    assert answer.url == url("security")
    assert client.get(url("index")).status_code == 200
    assert replayed.status_code == 200
    assert thief.get(url("index")).status_code == 302


def test_the_page_after_the_code_is_on_this_site():
    user = make_user("viewer")
    with_second_factor(user)
    client = password_given(user)
    answer = client.post(
        url("second_factor_check"), {"code": code_of(user), "next": "https://example.com/"}
    )
    assert answer.url == url("index")


def test_wrong_codes_make_the_next_wait():
    user = make_user("viewer")
    with_second_factor(user)
    client = password_given(user)

    client.post(url("second_factor_check"), {"code": "000000"})
    page = client.post(url("second_factor_check"), {"code": code_of(user)})

    assert "wait a little" in page.content.decode()
    assert client.get(url("index")).status_code == 302


def test_each_recovery_code_lets_in_once_and_none_is_kept_readable():
    user = make_user("viewer")
    codes = with_second_factor(user)
    from django_otp.plugins.otp_static.models import StaticToken

    first, second = password_given(user), password_given(user)
    first.post(url("second_factor_check"), {"code": codes[0].upper()})
    again = second.post(url("second_factor_check"), {"code": codes[0]})

    assert first.get(url("index")).status_code == 200
    assert "used already" in again.content.decode()
    assert second_factor.codes_left(user) == 9
    assert not set(codes) & set(StaticToken.objects.values_list("token", flat=True))


def test_a_role_can_require_a_second_factor_and_its_members_set_it_up_first():
    trader, viewer = make_user("trader"), make_user("viewer")
    require("trader")
    client = password_given(trader)

    asked = client.get(url("index"))
    client.get(url("second_factor_setup"))
    client.post(url("second_factor_setup"), {"code": code_of(trader)})

    assert asked.url.startswith(url("second_factor_setup"))
    assert client.get(url("index")).status_code == 200
    assert password_given(viewer).get(url("index")).status_code == 200


def test_what_is_required_of_administrators_is_required_of_superusers():
    make_user("admin")
    require("admin")
    assert second_factor.standing_of(make_superuser()).is_required
    assert not second_factor.standing_of(make_user("viewer")).is_required


def test_a_role_is_asked_for_it_on_its_page(boss):
    make_user("trader")
    role = Group.objects.get(name="trader")
    fields = {"name": "trader", "permissions": [one.pk for one in role.permissions.all()]}

    boss.post(url("auth_group_change", role.pk), fields | {"requires_second_factor": "on"})
    assert access.requires_second_factor(role)
    boss.post(url("auth_group_change", role.pk), fields)
    assert not access.requires_second_factor(role)
    changes = AuditEntry.objects.filter(entity="rolepolicy")
    assert [one.action for one in changes] == ["change", "create"]


def test_one_removes_ones_own_with_a_code_and_not_without(boss):
    user = make_user("trader")
    codes = with_second_factor(user)
    client = password_given(user)
    client.post(url("second_factor_check"), {"code": codes[0]})

    client.post(url("second_factor_remove"), {"remove-code": ""})
    client.post(url("second_factor_remove"), {"remove-code": codes[0]})
    assert second_factor.standing_of(user).is_set_up
    from django_otp.plugins.otp_static.models import StaticDevice

    StaticDevice.objects.update(throttling_failure_count=0)
    client.post(url("second_factor_remove"), {"remove-code": codes[1]})
    assert not second_factor.standing_of(user).is_set_up
    assert client.get(url("index")).status_code == 200


def test_new_recovery_codes_void_the_old():
    user = make_user("trader")
    old = with_second_factor(user)
    client = password_given(user)
    client.post(url("second_factor_check"), {"code": old[0]})

    new = client.post(url("recovery_codes")).context["codes"]

    assert not set(old) & set(new)
    assert second_factor.codes_left(user) == 10
    fresh = password_given(user)
    fresh.post(url("second_factor_check"), {"code": old[1]})
    assert fresh.get(url("index")).status_code == 302


def test_an_administrator_resets_a_lost_phone_with_a_reason(boss):
    user = make_user("trader")
    with_second_factor(user)

    boss.post(url("storage_app_user_reset_second_factor", user.pk), {"reason": ""})
    assert second_factor.standing_of(user).is_set_up
    boss.post(url("storage_app_user_reset_second_factor", user.pk), {"reason": "lost"})

    assert not second_factor.standing_of(user).is_set_up
    entry = AuditEntry.objects.first()
    assert (entry.actor, entry.reason, entry.after) == (
        "boss", "lost", {"second_factor": "removed"},
    )  # fmt: skip


def test_secrets_of_second_factors_are_on_no_page(boss):
    from django.contrib import admin

    assert not any(model._meta.app_label.startswith("otp_") for model in admin.site._registry)


def test_sessions_are_listed_and_ended_by_their_owner():
    user = make_user("viewer")
    here, there = password_given(user), password_given(user)

    page = here.get(url("security"))
    shown = page.context["sessions"]
    handle = next(
        one.handle for one in shown if one.session_key == there.cookies["sessionid"].value
    )
    here.post(url("sessions_end"), {"handle": handle})

    assert len(shown) == 2
    assert {(one.address, one.user_agent) for one in shown} == {("127.0.0.1", "Mozilla/5.0 Test")}
    assert all(one.session_key not in page.content.decode() for one in shown)
    assert there.get(url("index")).status_code == 302
    assert here.get(url("index")).status_code == 200
    assert AuditEntry.objects.first().after == {"sessions_ended": 1}


def test_ending_all_others_keeps_this_one():
    user = make_user("viewer")
    here, others = password_given(user), [password_given(user) for _number in range(2)]
    here.post(url("sessions_end"))
    assert here.get(url("index")).status_code == 200
    assert [one.get(url("index")).status_code for one in others] == [302, 302]


def test_nobody_ends_the_session_of_somebody_else_by_its_handle():
    mine, theirs = password_given(make_user("viewer")), password_given(make_user("viewer"))
    key = theirs.cookies["sessionid"].value
    mine.post(url("sessions_end"), {"handle": SignInSession.objects.get(pk=key).handle})
    assert theirs.get(url("index")).status_code == 200


def test_an_administrator_ends_the_sessions_of_a_user(boss):
    user = make_user("viewer")
    client = password_given(user)

    page = boss.get(url("storage_app_user_change", user.pk))
    boss.post(url("storage_app_user_end_sessions", user.pk), {"reason": "left the firm"})

    assert "Mozilla/5.0 Test" in page.content.decode()
    assert client.get(url("index")).status_code == 302
    assert AuditEntry.objects.first().reason == "left the firm"
    assert not sessions.of_user(user).exists()


def test_a_session_is_deleted_when_it_is_signed_out():
    user = make_user("viewer")
    client = password_given(user)
    assert sessions.of_user(user).count() == 1
    client.post(url("logout"))
    assert sessions.of_user(user).count() == 0


def test_passwords_must_be_long_and_not_common():
    user = make_user("viewer")
    client = password_given(user)
    for weak in ("short", "password123", "1234567890123", f"{user.username}!"):
        page = client.post(
            url("password_change"),
            {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak},
        )
        assert page.status_code == 200, weak
    new = "a much better one"
    answer = client.post(
        url("password_change"),
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )
    assert answer.status_code == 302
    entry = AuditEntry.objects.exclude(action="login").get()
    assert entry.after == {"password": "set"}
    assert new not in str(AuditEntry.objects.values())


def test_a_password_set_for_somebody_is_audited_and_ends_their_sessions(boss):
    user = make_user("viewer")
    client = password_given(user)
    new = "a much better one"
    boss.post(
        url("auth_user_password_change", user.pk),
        {"password1": new, "password2": new, "usable_password": "true", "set-password": "1"},
    )
    entry = AuditEntry.objects.exclude(action="login").get()
    assert (entry.actor, entry.entity_key, entry.after) == (
        "boss", user.username, {"password": "set"},
    )  # fmt: skip
    assert client.get(url("index")).status_code == 302


def test_an_administrator_of_one_account_manages_nobody_who_sees_more(boss):
    mine, foreign = make_account("10000001"), make_account("20000002")
    limited = make_user("admin", accounts=[mine])
    client = signed_in(limited)
    client.cookies["django_language"] = "en"
    below = make_user("trader", accounts=[mine])
    others = (make_user("trader"), make_user("trader", accounts=[mine, foreign]), make_superuser())

    for user in others:
        for name in ("unlock", "end_sessions", "reset_second_factor"):
            address = url(f"storage_app_user_{name}", user.pk)
            assert client.post(address, {"reason": "x"}).status_code == 403
        assert client.get(url("auth_user_password_change", user.pk)).status_code == 403
    listed = client.get(url("storage_app_user_changelist")).content.decode()
    page = client.get(url("storage_app_user_change", below.pk)).content.decode()

    assert "20000002" not in listed
    assert "20000002" not in page
    fields = {"username": below.username, "is_active": "on", "is_staff": "on"}
    client.post(
        url("storage_app_user_change", below.pk), fields | {"granted_accounts": [foreign.pk]}
    )
    client.post(url("storage_app_user_change", below.pk), fields)
    assert access.allowed_account_ids(below) == {"10000001"}
    own = {"username": limited.username, "is_active": "on", "is_staff": "on"}
    client.post(url("storage_app_user_change", limited.pk), own)
    assert access.allowed_account_ids(limited) == {"10000001"}


def test_whom_a_limited_administrator_makes_is_limited_alike():
    client = signed_in(make_user("admin", accounts=[make_account("10000001")]))
    password = "a long enough secret"
    client.post(
        url("storage_app_user_add"),
        {"username": "newcomer", "is_staff": "on", "password1": password, "password2": password,
         "usable_password": "true"},
    )  # fmt: skip
    assert access.allowed_account_ids(User.objects.get(username="newcomer")) == {"10000001"}
