"""Every audited model × every way to write it: exactly one entry for each row written.

A new service function, audited model or writable page fails here until it stands in the tables.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from io import StringIO
from pkgutil import iter_modules

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import reverse
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)
from django_otp.oath import totp

import storage_app.services
from storage_app.models import AuditEntry, JobRun, ParamDecision, User
from storage_app.models.audited import AuditedModel
from storage_app.services import (
    access,
    accounts,
    approvals,
    bindings,
    books,
    capital,
    conflicts,
    second_factor,
    sessions,
    strategies,
)
from storage_app.services.actors import Actor, person, trader
from storage_app.services.capital import DayCapital
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from tests.admin.conftest import signed_in
from tests.factories import (
    PASSWORD,
    make_account,
    make_binding,
    make_conflict,
    make_strategy,
    make_superuser,
    make_trade,
    make_user,
    restore_roles,
)
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("store"),
]
NEW = "a much better one"


class World:
    """One row of each kind, and a superuser who works on them."""

    def __init__(self):
        restore_roles()
        self.account = make_account("55009728")
        self.spare = make_account("66009728")
        self.alpha = make_strategy("Alpha", {"n": 1}, needs_approval=True)
        self.beta = make_strategy("Beta", {"n": 1})
        self.bare = make_strategy("Bare")
        self.binding = make_binding(self.account, self.beta)
        self.user = make_user("trader", username="zhao")
        self.boss = make_superuser(username="boss")
        self.conflict = make_conflict(make_trade(account_id="55009728"))
        self.group = Group.objects.get(name="viewer")
        self.every = IntervalSchedule.objects.create(every=3, period="days")
        self.second = IntervalSchedule.objects.create(every=4, period="days")
        self.cron = CrontabSchedule.objects.create(minute="1")
        self.clocked = ClockedSchedule.objects.create(clocked_time=clock.now())
        self.job = PeriodicTask.objects.create(name="job", task="t", interval=self.every)
        self.run = JobRun.objects.create(job="run_import", day=clock.today(), slot="1")
        self.client = signed_in(self.boss)
        self.actor = person(self.boss, "10.0.0.1")
        self.waiting = strategies.save_params(trader(), "Alpha", {"n": 2})
        strategies.save_params(trader(), "Beta", {"n": 2})

    def post(self, page, *args, **fields):
        answer = self.client.post(reverse(f"admin:{page}", args=args), fields)
        told = answer.context and answer.context.get("adminform")
        assert answer.status_code in (200, 302), (answer.status_code, told and told.form.errors)
        assert not told or not told.form.errors, told.form.errors
        return answer

    def set_up(self, user):
        device = second_factor.begin(user)
        return second_factor.confirm(person(user), user, f"{totp(device.bin_key, drift=-1):06d}")


# Service function → (entity of the entry, what calls it).
SERVICES = {
    "accounts.create": ("account", lambda w: accounts.create(w.actor, "new-0001", "N", "QMT", 1)),
    "accounts.update": (
        "account",
        lambda w: accounts.update(w.actor, "55009728", {"broker": "GM"}, "why"),
    ),
    "accounts.set_status": (
        "account",
        lambda w: accounts.set_status(w.actor, "55009728", "suspended", "why"),
    ),
    "bindings.bind": ("accountstrategy", lambda w: bindings.bind(w.actor, "66009728", "Beta", 1)),
    "bindings.change": (
        "accountstrategy",
        lambda w: bindings.change(w.actor, "55009728", "Beta", "why", risk_limit=1),
    ),
    "bindings.set_status": (
        "accountstrategy",
        lambda w: bindings.set_status(w.actor, "55009728", "Beta", "paused", "why"),
    ),
    "bindings.pause": (
        "accountstrategy",
        lambda w: bindings.pause(w.actor, "55009728", "Beta", "why"),
    ),
    "bindings.unbind": (
        "accountstrategy",
        lambda w: bindings.unbind(w.actor, "55009728", "Beta", "why"),
    ),
    "books.record_claim": (
        "account",
        lambda w: books.record_claim(w.actor, "55009728", "a", "b", "why"),
    ),
    "books.record_decision": (
        "account",
        lambda w: books.record_decision(
            w.actor, "55009728", "600000.SH", "3 days", "4 days", "host", "why"
        ),
    ),
    "capital.import_snapshots": (
        "account",
        lambda w: capital.import_snapshots(
            w.actor, "55009728", [DayCapital(clock.today(), 1_000_000)]
        ),
    ),
    "conflicts.resolve": (
        "tradeconflict",
        lambda w: conflicts.resolve(w.actor, w.conflict.pk, "taken", "why", ClickHouseTrades()),
    ),
    "strategies.create": (
        "strategy",
        lambda w: strategies.create(
            w.actor, "Gamma", "gamma", "other", "1.0.0", needs_approval=True
        ),
    ),
    "strategies.update": (
        "strategy",
        lambda w: strategies.update(w.actor, "Beta", {"needs_approval": True}, "why"),
    ),
    "strategies.set_status": (
        "strategy",
        lambda w: strategies.set_status(w.actor, "Beta", "active", "why"),
    ),
    "strategies.save_params": (
        "paramversion",
        lambda w: strategies.save_params(w.actor, "Beta", {"n": 3}),
    ),
    "strategies.save_if_changed": (
        "paramversion",
        lambda w: strategies.save_if_changed(w.actor, "Alpha", {"n": 3}),
    ),
    "strategies.activate": ("strategy", lambda w: strategies.activate(w.actor, "Beta", 1, "why")),
    "approvals.decide": (
        "paramversion",
        lambda w: approvals.decide(w.actor, "Alpha", 2, "approved", "why"),
    ),
    "access.set_grants": (
        "accountgrant",
        lambda w: access.set_grants(w.actor, w.user, ["55009728"], "why"),
    ),
    "access.limit_alike": (
        "accountgrant",
        lambda w: access.limit_alike(person(make_user("admin", [w.account])), w.user),
    ),
    "access.require_second_factor": (
        "rolepolicy",
        lambda w: access.require_second_factor(w.actor, w.group, True),
    ),
    "access.record_password": ("user", lambda w: access.record_password(w.actor, w.user)),
    "access.unlock": ("user", lambda w: access.unlock(w.actor, w.user, "why")),
    "sessions.end": ("user", lambda w: sessions.end(w.actor, w.boss, reason="why")),
    "second_factor.confirm": ("user", lambda w: w.set_up(w.user)),
    "second_factor.renew_codes": (
        "user",
        lambda w: second_factor.renew_codes(w.actor, w.boss),
    ),
}
# Services that act as somebody and leave no entry of their own, with the reason.
SILENT = {
    "bindings.resume": "bindings.set_status, as pause",
    "capital.record_close": "the snapshot of the day is its record",
    "capital.update_capital": "the snapshots and the journal are its record",
    "second_factor.remove": "leaves one where there was a factor; see the page's path below",
}
PAGES = {
    "storage_app_account_add": (
        "account",
        lambda w: w.post(
            "storage_app_account_add", account_id="77009728", account_name="N", broker="QMT",
            environment="live", initial_capital="5", reason="why",
        ),
    ),
    "storage_app_account_change": (
        "account",
        lambda w: w.post(
            "storage_app_account_change", w.account.pk, account_name="Renamed", broker="QMT",
            environment="live", initial_capital="1000000", reason="why",
        ),
    ),
    "storage_app_account_suspend": (
        "account", lambda w: w.post("storage_app_account_suspend", w.account.pk, reason="why")
    ),
    "storage_app_account_retire": (
        "account", lambda w: w.post("storage_app_account_retire", w.account.pk, reason="why")
    ),
    "storage_app_account_resume": (
        "account",
        lambda w: w.post(
            "storage_app_account_resume", make_account(status="suspended").pk, reason="why"
        ),
    ),
    "storage_app_accountstrategy_add": (
        "accountstrategy",
        lambda w: w.post(
            "storage_app_accountstrategy_add", account=w.spare.pk, strategy=w.beta.pk,
            allocated_capital="5", risk_limit="5", reason="why",
        ),
    ),
    "storage_app_accountstrategy_change": (
        "accountstrategy",
        lambda w: w.post(
            "storage_app_accountstrategy_change", w.binding.pk, allocated_capital="5",
            risk_limit="5", reason="why",
        ),
    ),
    "storage_app_accountstrategy_pause": (
        "accountstrategy",
        lambda w: w.post("storage_app_accountstrategy_pause", w.binding.pk, reason="why"),
    ),
    "storage_app_accountstrategy_resume": (
        "accountstrategy",
        lambda w: w.post(
            "storage_app_accountstrategy_resume",
            make_binding(w.spare, w.beta, status="paused").pk, reason="why",
        ),
    ),
    "storage_app_accountstrategy_unbind": (
        "accountstrategy",
        lambda w: w.post("storage_app_accountstrategy_unbind", w.binding.pk, reason="why"),
    ),
    "storage_app_strategy_add": (
        "strategy",
        lambda w: w.post(
            "storage_app_strategy_add", strategy_name="Gamma", strategy_code="gamma",
            strategy_type="other", version="1.0.0", needs_approval="on", reason="why",
        ),
    ),
    "storage_app_strategy_change": (
        "strategy",
        lambda w: w.post(
            "storage_app_strategy_change", w.beta.pk, strategy_type="remote", version="1.0.1",
            needs_approval="on", reason="why",
        ),
    ),
    "storage_app_strategy_new_version": (
        "paramversion",
        lambda w: w.post(
            "storage_app_strategy_new_version", w.beta.pk, text='{"n": 9}', based_on="2"
        ),
    ),
    "storage_app_strategy_deploy": (
        "strategy", lambda w: w.post("storage_app_strategy_deploy", w.beta.pk, reason="why")
    ),
    "storage_app_strategy_retire": (
        "strategy", lambda w: w.post("storage_app_strategy_retire", w.beta.pk, reason="why")
    ),
    "storage_app_strategy_test": (
        "strategy",
        lambda w: w.post(
            "storage_app_strategy_test", make_strategy(status="inactive").pk, reason="why"
        ),
    ),
    "storage_app_strategy_activate": (
        "strategy", lambda w: w.post("storage_app_strategy_activate", w.beta.pk, 1, reason="why")
    ),
    "storage_app_strategy_approve": (
        "paramversion",
        lambda w: w.post("storage_app_strategy_approve", w.alpha.pk, 2, reason="why"),
    ),
    "storage_app_strategy_reject": (
        "paramversion",
        lambda w: w.post("storage_app_strategy_reject", w.alpha.pk, 2, reason="why"),
    ),
    "storage_app_tradeconflict_keep": (
        "tradeconflict",
        lambda w: (
            ClickHouseTrades().write_trades([make_trade(account_id="55009728", trade_id="T-1")]),
            w.post(
                "storage_app_tradeconflict_keep",
                make_conflict(
                    make_trade(account_id="55009728", trade_id="T-1", volume=900)
                ).pk,
                reason="why",
            ),
        ),
    ),
    "storage_app_tradeconflict_take": (
        "tradeconflict",
        lambda w: w.post("storage_app_tradeconflict_take", w.conflict.pk, reason="why"),
    ),
    "storage_app_tradeconflict_record_both": (
        "tradeconflict",
        lambda w: (
            ClickHouseTrades().write_trades([make_trade(account_id="55009728", trade_id="T-2")]),
            w.post(
                "storage_app_tradeconflict_record_both",
                make_conflict(
                    make_trade(account_id="55009728", trade_id="T-2", volume=900)
                ).pk,
                reason="why",
            ),
        ),
    ),
    "storage_app_jobrun_cancel": (
        "jobrun", lambda w: w.post("storage_app_jobrun_cancel", w.run.pk, reason="why"),
    ),
    "storage_app_user_add": (
        "user",
        lambda w: w.post(
            "storage_app_user_add", username="newcomer", is_staff="on", password1=NEW,
            password2=NEW, usable_password="true", groups=[w.group.pk],
        ),
    ),
    "storage_app_user_change": (
        "user",
        lambda w: w.post(
            "storage_app_user_change", w.user.pk, username="zhao", real_name="赵", is_active="on",
            is_staff="on", groups=[w.group.pk],
        ),
    ),
    "storage_app_user_unlock": (
        "user", lambda w: w.post("storage_app_user_unlock", w.user.pk, reason="why")
    ),
    "storage_app_user_end_sessions": (
        "user",
        lambda w: (
            signed_in(w.user),
            AuditEntry.objects.filter(action="login"),
            w.post("storage_app_user_end_sessions", w.user.pk, reason="why"),
        ),
    ),
    "storage_app_user_reset_second_factor": (
        "user",
        lambda w: (
            second_factor.TOTPDevice.objects.create(user=w.user, confirmed=True),
            w.post("storage_app_user_reset_second_factor", w.user.pk, reason="why"),
        ),
    ),
    "auth_user_password_change": (
        "user",
        lambda w: w.post(
            "auth_user_password_change", w.user.pk, password1=NEW, password2=NEW,
            usable_password="true", **{"set-password": "1"},
        ),
    ),
    "password_change": (
        "user",
        lambda w: w.post(
            "password_change", old_password=PASSWORD, new_password1=NEW, new_password2=NEW
        ),
    ),
    "auth_group_add": (
        "group", lambda w: w.post("auth_group_add", name="desk", permissions=[])
    ),
    "auth_group_change": (
        "group", lambda w: w.post("auth_group_change", w.group.pk, name="readers")
    ),
    "auth_group_delete": (
        "group", lambda w: w.post("auth_group_delete", w.group.pk, post="yes")
    ),
    "django_celery_beat_intervalschedule_add": (
        "intervalschedule",
        lambda w: w.post("django_celery_beat_intervalschedule_add", every="7", period="days"),
    ),
    "django_celery_beat_intervalschedule_change": (
        "intervalschedule",
        lambda w: w.post(
            "django_celery_beat_intervalschedule_change", w.every.pk, every="8", period="days"
        ),
    ),
    "django_celery_beat_intervalschedule_delete": (
        "intervalschedule",
        lambda w: w.post("django_celery_beat_intervalschedule_delete", w.second.pk, post="yes"),
    ),
    "django_celery_beat_crontabschedule_add": (
        "crontabschedule",
        lambda w: w.post(
            "django_celery_beat_crontabschedule_add", minute="5", hour="*", day_of_month="*",
            month_of_year="*", day_of_week="*", timezone="Asia/Shanghai",
        ),
    ),
    "django_celery_beat_crontabschedule_change": (
        "crontabschedule",
        lambda w: w.post(
            "django_celery_beat_crontabschedule_change", w.cron.pk, minute="6", hour="*",
            day_of_month="*", month_of_year="*", day_of_week="*", timezone="Asia/Shanghai",
        ),
    ),
    "django_celery_beat_crontabschedule_delete": (
        "crontabschedule",
        lambda w: w.post("django_celery_beat_crontabschedule_delete", w.cron.pk, post="yes"),
    ),
    "django_celery_beat_clockedschedule_add": (
        "clockedschedule",
        lambda w: w.post(
            "django_celery_beat_clockedschedule_add", clocked_time_0="2030-01-01",
            clocked_time_1="10:00",
        ),
    ),
    "django_celery_beat_clockedschedule_change": (
        "clockedschedule",
        lambda w: w.post(
            "django_celery_beat_clockedschedule_change", w.clocked.pk,
            clocked_time_0="2031-01-01", clocked_time_1="10:00",
        ),
    ),
    "django_celery_beat_clockedschedule_delete": (
        "clockedschedule",
        lambda w: w.post("django_celery_beat_clockedschedule_delete", w.clocked.pk, post="yes"),
    ),
    "django_celery_beat_periodictask_add": (
        "periodictask",
        lambda w: w.post(
            "django_celery_beat_periodictask_add", name="other", task="t", interval=w.every.pk,
            args="[]", kwargs="{}", headers="{}",
        ),
    ),
    "django_celery_beat_periodictask_change": (
        "periodictask",
        lambda w: w.post(
            "django_celery_beat_periodictask_change", w.job.pk, name="renamed", task="t",
            interval=w.every.pk, args="[]", kwargs="{}", headers="{}",
        ),
    ),
    "django_celery_beat_periodictask_delete": (
        "periodictask",
        lambda w: w.post("django_celery_beat_periodictask_delete", w.job.pk, post="yes"),
    ),
}  # fmt: skip
# Pages whose entries another module counts.
COUNTED_ELSEWHERE = {"storage_app_report_repair": "tests/admin/test_reports.py, one for each step"}
STORE = {
    "create_account": (
        "account",
        lambda w: OrmAccounts().create_account("n-000001", "N", "QMT", 1),
    ),
    "set_account_status": (
        "account",
        lambda w: OrmAccounts().set_account_status("55009728", "suspended", "why"),
    ),
    "bind_strategy": (
        "accountstrategy",
        lambda w: OrmAccounts().bind_strategy("66009728", "Beta", 1),
    ),
    "create_strategy": (
        "strategy",
        lambda w: OrmStrategies().create_strategy("Gamma", "gamma", "other", "1.0.0"),
    ),
    "save_strategy_params": (
        "paramversion",
        lambda w: OrmStrategies().save_strategy_params("Alpha", {"n": 5}),
    ),
    "activate_strategy_params": (
        "strategy",
        lambda w: OrmStrategies().activate_strategy_params("Beta", 1),
    ),
}
PATHS = {
    **{f"service {name}": path for name, path in SERVICES.items()},
    **{f"page {name}": path for name, path in PAGES.items()},
    **{f"store {name}": path for name, path in STORE.items()},
}
# Models whose rows are the trail, or are told of by the entry of another.
NO_PATH = {
    "auditentry": "is the trail itself",
    "paramdecision": "told of by the entry of its version, which decides and activates at once",
}


@pytest.mark.parametrize("name", PATHS)
def test_each_write_leaves_exactly_one_entry_that_says_who_what_and_from_where(name):
    world = World()
    entity, write = PATHS[name]
    known = set(AuditEntry.objects.values_list("pk", flat=True))

    write(world)

    entries = AuditEntry.objects.exclude(pk__in=known).exclude(action="login")
    assert [entry.entity for entry in entries] == [entity]
    (entry,) = entries
    assert entry.actor
    assert entry.entity_key
    assert entry.before or entry.after or entry.action == "repair"
    if name.startswith("page"):
        assert (entry.actor, entry.origin) == ("boss", "127.0.0.1")


def test_deleting_in_bulk_leaves_an_entry_per_row():
    world = World()
    world.post(
        "django_celery_beat_crontabschedule_changelist",
        action="delete_selected",
        _selected_action=[world.cron.pk, CrontabSchedule.objects.create(minute="9").pk],
        post="yes",
    )
    deleted = AuditEntry.objects.filter(action="delete", entity="crontabschedule")
    assert deleted.count() == 2


def test_looking_at_the_page_of_each_change_leaves_none():
    world = World()
    known = AuditEntry.objects.count()
    for name in ("storage_app_strategy_new_version", "storage_app_strategy_deploy"):
        assert world.client.get(reverse(f"admin:{name}", args=[world.beta.pk])).status_code == 200
    assert AuditEntry.objects.count() == known


def test_an_account_imported_by_the_command_leaves_its_entries_once(tmp_path):
    known = AuditEntry.objects.count()
    (tmp_path / "assets.csv").write_text("date,asset\n2026-03-02,1000000\n2026-03-03,1000100\n")
    arguments = ["--account", "88009728", "--create-account", "--broker", "QMT",
                 "--environment", "paper"]  # fmt: skip
    for _time in range(2):
        call_command("import_legacy", str(tmp_path), *arguments, stdout=StringIO())

    entries = AuditEntry.objects.order_by("pk")[known:]
    assert [(one.entity, one.action) for one in entries] == [
        ("account", "create"), ("account", "import"),
    ]  # fmt: skip
    assert all(one.origin == "import_legacy" for one in entries)


def test_people_made_and_passwords_set_at_the_terminal_leave_an_entry(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    call_command("createsuperuser", interactive=False, username="root", email="", stdout=StringIO())
    monkeypatch.setattr(
        "django.contrib.auth.management.commands.changepassword.Command._get_pass",
        lambda *args, **options: f"{NEW} yet",
    )
    call_command("changepassword", "root", stdout=StringIO())

    made, changed = AuditEntry.objects.order_by("pk")
    assert (made.origin, made.action, made.entity_key) == ("createsuperuser", "create", "root")
    assert (changed.origin, changed.after) == ("changepassword", {"password": "set"})
    assert NEW not in str(AuditEntry.objects.values())


def test_every_service_that_acts_as_somebody_stands_in_the_table():
    known = SERVICES.keys() | SILENT.keys()
    assert acting_services() - known - {"audit.record", "audit.created", "audit.deleted"} == {
        "audit.changing"
    }
    assert known <= acting_services()


def acting_services():
    """Return the public functions of the services whose first parameter is an Actor."""
    found = set()
    for module in iter_modules(storage_app.services.__path__):
        loaded = import_module(f"storage_app.services.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if name.startswith("_") or function.__module__ != loaded.__name__:
                continue
            first = next(iter(inspect.signature(function, eval_str=True).parameters.values()), None)
            if first is not None and first.annotation is Actor:
                found.add(f"{module.name}.{name}")
    return found


def test_every_audited_model_has_a_way_of_writing_in_the_table():
    audited = {
        model._meta.model_name
        for model in apps.get_models()
        if issubclass(model, AuditedModel) or model is User
    }
    written = {entity for entity, _write in PATHS.values()}
    assert audited - written == NO_PATH.keys()
    assert ParamDecision._meta.model_name in audited


def test_every_page_that_writes_stands_in_the_table():
    request = RequestFactory().get("/")
    request.user = make_superuser()
    writable = set()
    for model, one in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        for verb in ("add", "change", "delete"):
            if getattr(one, f"has_{verb}_permission")(request):
                writable.add(f"{name}_{verb}")
        writable |= {f"{name}_{move}" for move in one.actions_detail or ()}
    assert writable - PAGES.keys() == COUNTED_ELSEWHERE.keys()
