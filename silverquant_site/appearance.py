"""How the admin looks; read by the theme."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from silverquant_site import env

# Chinese traders read red as up and green as down; RISE_IS_RED=no turns it round.
RISE_IS_RED = env.flag("RISE_IS_RED", default=True)

_RED = {"400": "#f87171", "600": "#d92d20", "700": "#b42318"}
_GREEN = {"400": "#34d399", "600": "#079455", "700": "#067647"}
_BLUE = {
    "50": "#eff5ff",
    "100": "#dbe8fe",
    "200": "#bfd7fe",
    "300": "#93bbfd",
    "400": "#609afa",
    "500": "#3b7bf6",
    "600": "#255feb",
    "700": "#1d4bd8",
    "800": "#1e3faf",
    "900": "#1e398a",
    "950": "#172554",
}


def _asset(path: str) -> Any:
    def locate(request: HttpRequest) -> str:
        return static(path)

    return locate


def _may(permission: str) -> Any:
    def permitted(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return permitted


def _page(
    title: Any, icon: str, name: str, permission: str = "", badge: str = ""
) -> dict[str, Any]:
    page: dict[str, Any] = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}
    if permission:
        page["permission"] = _may(permission)
    if badge:
        page["badge"] = badge
    return page


NAVIGATION: list[dict[str, Any]] = [
    {
        "items": [
            _page(_("Dashboard"), "space_dashboard", "index"),
            _page(_("Positions"), "inventory_2", "positions", "storage_app.view_account"),
        ],
    },
    {
        "title": _("Accounts and strategies"),
        "separator": True,
        "items": [
            _page(
                _("Accounts"),
                "account_balance_wallet",
                "storage_app_account_changelist",
                "storage_app.view_account",
            ),
            _page(
                _("Strategies"),
                "psychology",
                "storage_app_strategy_changelist",
                "storage_app.view_strategy",
            ),
            _page(
                _("Strategy bindings"),
                "link",
                "storage_app_accountstrategy_changelist",
                "storage_app.view_accountstrategy",
            ),
        ],
    },
    {
        "title": _("Trades and bars"),
        "separator": True,
        "items": [
            _page(
                _("Trades"),
                "receipt_long",
                "trades_app_trade_changelist",
                "trades_app.view_trade",
            ),
            _page(
                _("Trade statistics"),
                "bar_chart",
                "statistics",
                "trades_app.view_trade",
            ),
            _page(
                _("Trade conflicts"),
                "rule",
                "storage_app_tradeconflict_changelist",
                "storage_app.view_tradeconflict",
                badge="storage_app.admin.conflicts.sidebar_badge",
            ),
            _page(
                _("Daily bars"),
                "candlestick_chart",
                "trades_app_dailykline_changelist",
                "trades_app.view_dailykline",
            ),
        ],
    },
    {
        "title": _("Records"),
        "separator": True,
        "items": [
            _page(
                _("Reports"),
                "fact_check",
                "storage_app_report_changelist",
                "storage_app.view_report",
            ),
            _page(_("Events"), "monitor_heart", "events")
            | {"permission": "storage_app.admin.events.may_see"},
            _page(
                _("Audit trail"),
                "history",
                "storage_app_auditentry_changelist",
                "storage_app.view_auditentry",
            ),
        ],
    },
    {
        "title": _("Administration"),
        "separator": True,
        "collapsible": True,
        "items": [
            _page(_("Users"), "person", "storage_app_user_changelist", "storage_app.view_user"),
            _page(_("Groups"), "group", "auth_group_changelist", "auth.view_group"),
            _page(
                _("Failed sign-ins"),
                "lock",
                "axes_accessattempt_changelist",
                "axes.view_accessattempt",
            ),
            _page(
                _("Scheduled jobs"),
                "schedule",
                "django_celery_beat_periodictask_changelist",
                "django_celery_beat.view_periodictask",
            ),
            _page(
                _("Job runs"),
                "play_circle",
                "storage_app_jobrun_changelist",
                "storage_app.view_jobrun",
            ),
            _page(
                _("Job results"),
                "task_alt",
                "django_celery_results_taskresult_changelist",
                "django_celery_results.view_taskresult",
            ),
        ],
    },
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("SilverQuant data platform"),
    "SITE_HEADER": _("SilverQuant"),
    "SITE_SUBHEADER": _("Data platform"),
    "SITE_URL": "",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": _asset("storage_app/favicon.svg"),
        }
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": _BLUE,
        "rise": _RED if RISE_IS_RED else _GREEN,
        "fall": _GREEN if RISE_IS_RED else _RED,
    },
    "STYLES": [_asset("storage_app/platform.css"), _asset("storage_app/governance.css")],
    "SCRIPTS": [_asset("storage_app/charts.js"), _asset("storage_app/accessible.js")],
    "ACCOUNT": {
        "navigation": [
            {"title": _("Sign-in and security"), "link": reverse_lazy("admin:security")},
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
        ]
    },
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}
