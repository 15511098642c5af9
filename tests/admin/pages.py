"""Every address of the site and who may use it: the one table behind test_permissions.py.

To add a page: put its name (as `reverse()` knows it, without `admin:`) into `PAGES` with the roles
that may open it. If its address needs an argument, `arguments()` must know it; if it shows or
changes rows of an account, add what addresses the foreign account to `FOREIGN`. To add an admin
action of a list, put `model: {action}` into `ACTIONS`. Nothing else needs to be told.
"""

from __future__ import annotations

import re

from django.contrib.auth.models import Group

ROLES = ("admin", "developer", "trader", "viewer")
ALL = frozenset(ROLES)
TRADES = frozenset({"admin", "trader", "viewer"})
TRADERS = frozenset({"admin", "trader"})
STRATEGISTS = frozenset({"admin", "developer"})
ADMINS = frozenset({"admin"})
# Of the roles; a superuser may open everything but what is written by nobody.
NOBODY = frozenset()

# Of models that have pages in the admin: who reads the list and the rows, who adds, who changes
# and who deletes. Never means not even a superuser.
NEVER = None
MODELS = {
    "storage_app_account": (ALL, ADMINS, ADMINS, NEVER),
    "storage_app_strategy": (ALL, STRATEGISTS, STRATEGISTS, NEVER),
    "storage_app_accountstrategy": (ALL, ADMINS, ADMINS, NEVER),
    "storage_app_tradeconflict": (TRADES, NEVER, NEVER, NEVER),
    "storage_app_report": (TRADERS, NEVER, NEVER, NEVER),
    "storage_app_jobrun": (TRADERS, NEVER, NEVER, NEVER),
    "storage_app_auditentry": (ADMINS, NEVER, NEVER, NEVER),
    "storage_app_user": (ADMINS, ADMINS, ADMINS, NEVER),
    "trades_app_trade": (TRADES, NEVER, NEVER, NEVER),
    "trades_app_dailykline": (TRADES, NEVER, NEVER, NEVER),
    "auth_group": (ADMINS, ADMINS, ADMINS, ADMINS),
    "axes_accessattempt": (NOBODY, NEVER, NEVER, NEVER),
    "django_celery_beat_periodictask": (NOBODY, NOBODY, NOBODY, NOBODY),
    "django_celery_beat_crontabschedule": (NOBODY, NOBODY, NOBODY, NOBODY),
    "django_celery_beat_intervalschedule": (NOBODY, NOBODY, NOBODY, NOBODY),
    "django_celery_beat_clockedschedule": (NOBODY, NOBODY, NOBODY, NOBODY),
    "django_celery_results_taskresult": (NOBODY, NEVER, NEVER, NEVER),
}
# Pages besides those of Django's own for each model. Read with GET, and never changing anything.
PAGES = {
    "index": ALL,
    "positions": ALL,
    "statistics": TRADES,
    "events": TRADERS,
    "chart_equity": ALL,
    "chart_equity_of_all": ALL,
    "chart_kline": TRADES,
    "kline_search": TRADES,
    "trades_app_dailykline_chart": TRADES,
    "trades_app_dailykline_suggest": TRADES,
    "trades_app_trade_export": TRADES,
    "trades_app_trade_suggest": TRADES,
    "storage_app_account_suspend": ADMINS,
    "storage_app_account_resume": ADMINS,
    "storage_app_account_retire": ADMINS,
    "storage_app_strategy_compare": ALL,
    "storage_app_strategy_version": ALL,
    "storage_app_strategy_export": ALL,
    "storage_app_strategy_activate": STRATEGISTS,
    "storage_app_strategy_approve": STRATEGISTS,
    "storage_app_strategy_reject": STRATEGISTS,
    "storage_app_strategy_new_version": STRATEGISTS,
    "storage_app_strategy_deploy": STRATEGISTS,
    "storage_app_strategy_test": STRATEGISTS,
    "storage_app_strategy_retire": STRATEGISTS,
    "storage_app_accountstrategy_pause": ADMINS,
    "storage_app_accountstrategy_resume": ADMINS,
    "storage_app_accountstrategy_unbind": ADMINS,
    "storage_app_tradeconflict_keep": TRADERS,
    "storage_app_tradeconflict_take": TRADERS,
    "storage_app_tradeconflict_record_both": TRADERS,
    "storage_app_report_repair": ADMINS,
    "storage_app_jobrun_start": ADMINS,
    "storage_app_jobrun_cancel": ADMINS,
    "storage_app_jobrun_progress": TRADERS,
    "storage_app_jobrun_rejects": TRADERS,
    "storage_app_auditentry_export": ADMINS,
    "storage_app_user_unlock": ADMINS,
    "storage_app_user_end_sessions": ADMINS,
    "storage_app_user_reset_second_factor": ADMINS,
    "auth_user_password_change": ADMINS,
    # One's own sign-in, and what Django offers everybody who is signed in.
    "security": ALL,
    "second_factor_setup": ALL,
    "second_factor_check": ALL,
    "password_change": ALL,
    "password_change_done": ALL,
    "jsi18n": ALL,
    "search": ALL,
    "app_list": ALL,
}
# Only ever posted to; anybody signed in, for themselves.
POSTED = {"recovery_codes": ALL, "second_factor_remove": ALL, "sessions_end": ALL}
# Tested by themselves: without a sign-in, redirects, or with rules of their own.
APART = {
    "login": "the sign-in itself",
    "logout": "ends the session that asks",
    "autocomplete": "test_autocomplete_offers_no_account_beyond_the_granted_ones",
    "view_on_site": "no model of ours has a public page: test_no_row_is_viewed_on_the_site",
    "trades_app_dailykline_change": "a bar has no page of its own: 404 to everybody",
    "trades_app_dailykline_history": "the same",
    "admin_catch_all": "leads to an address with a slash or nowhere",
}
# Outside of the admin.
PUBLIC = {"health", "set_language", "root"}
# Actions over ticked rows of a list; every other list has none.
ACTIONS = {
    "django_celery_beat_crontabschedule": {"delete_selected"},
    "django_celery_beat_intervalschedule": {"delete_selected"},
    "django_celery_beat_clockedschedule": {"delete_selected"},
}


def all_pages():
    """Return name → roles of everything that GET may open; None where nobody ever may."""
    pages = dict(PAGES)
    for model, (read, add, _change, delete) in MODELS.items():
        pages[f"{model}_changelist"] = read
        # A row that may be read and not changed is shown without a way to save it.
        pages[f"{model}_change"] = read
        pages[f"{model}_history"] = read
        pages[f"{model}_add"] = add
        pages[f"{model}_delete"] = delete
    return {name: roles for name, roles in pages.items() if name not in APART}


def arguments(name, desk, user=None, foreign=False):
    """Return what the address of a page needs: of the user's own account, or of the foreign one."""
    account = desk.foreign if foreign else desk.mine
    trade = desk.foreign_trade if foreign else desk.my_trade
    exact = {
        "app_list": ["storage_app"],
        "chart_equity": [account.pk],
        "chart_kline": ["600000.SH"],
        "trades_app_dailykline_chart": ["600000.SH"],
        "trades_app_dailykline_suggest": [],
        "trades_app_trade_export": ["csv"],
        "trades_app_trade_suggest": ["code"],
        "storage_app_jobrun_start": [],
        "storage_app_strategy_activate": [desk.strategy.pk, 1],
        "storage_app_strategy_version": [desk.strategy.pk, 1],
        "storage_app_strategy_approve": [desk.strategy.pk, 2],
        "storage_app_strategy_reject": [desk.strategy.pk, 2],
        "storage_app_strategy_export": [desk.strategy.pk, 1, "yaml"],
    }
    if name in exact:
        return exact[name]
    if name in POSTED:
        return []
    if name.endswith(("_changelist", "_add", "auditentry_export")) or name in PAGES.keys() - {
        one for one in PAGES if re.match(r"(storage_app|trades_app|auth)_", one)
    }:
        return []
    rows = {
        "accountstrategy": account.bindings.get().pk,
        "account": account.pk,
        "strategy": desk.strategy.pk,
        "group": Group.objects.get(name="viewer").pk,
        "user": (user or desk.limited).pk,
        "tradeconflict": (desk.foreign_conflict if foreign else desk.conflict).pk,
        "trade": trade,
        "dailykline": "600000.SH",
        **{model: row.pk for model, row in desk.rows.items()},
        **({"auditentry": desk.foreign_entry.pk, "jobrun": desk.foreign_run.pk} if foreign else {}),
    }
    return [
        rows[
            re.sub(
                r"^(storage_app|trades_app|auth|axes|django_celery_(beat|results))_", "", name
            ).split("_")[0]
        ]
    ]


# Pages whose address names a row of an account. Whoever may not see the account finds nothing:
# the answer is 404, 403 or leads to the start page, and never shows it.
FOREIGN = {
    "chart_equity",
    "storage_app_account_change",
    "storage_app_account_history",
    "storage_app_account_suspend",
    "storage_app_account_resume",
    "storage_app_account_retire",
    "storage_app_accountstrategy_change",
    "storage_app_accountstrategy_history",
    "storage_app_accountstrategy_pause",
    "storage_app_accountstrategy_resume",
    "storage_app_accountstrategy_unbind",
    "storage_app_auditentry_change",
    "storage_app_auditentry_history",
    "storage_app_jobrun_change",
    "storage_app_jobrun_history",
    "storage_app_jobrun_cancel",
    "storage_app_jobrun_progress",
    "storage_app_jobrun_rejects",
    "storage_app_tradeconflict_change",
    "storage_app_tradeconflict_history",
    "storage_app_tradeconflict_keep",
    "storage_app_tradeconflict_take",
    "storage_app_tradeconflict_record_both",
    "trades_app_trade_change",
    "trades_app_trade_history",
}
