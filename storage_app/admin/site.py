from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from storage_app.admin.sources import signed_in
from storage_app.services import access
from storage_app.services.actors import of_request


class PlatformAdminSite(UnfoldAdminSite):
    """The admin of the platform: Django's, with pages of its own beside those of the models."""

    index_title = _("Dashboard")
    index_template = "storage_app/dashboard.html"
    empty_value_display = "–"

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from storage_app.admin.dashboard import dashboard_context

        context = dashboard_context(request) | (extra_context or {})
        return super().index(request, context)

    def extra_urls(self) -> list[URLPattern]:
        from storage_app.admin import charts

        return [
            *self.security_urls(),
            path("positions/", self.admin_view(self.positions), name="positions"),
            path("statistics/", self.admin_view(self.statistics), name="statistics"),
            path("events/", self.admin_view(self.events), name="events"),
            path(
                "charts/equity/", self.admin_view(charts.equity_of_all), name="chart_equity_of_all"
            ),
            path(
                "charts/equity/<int:account_key>/",
                self.admin_view(charts.equity),
                name="chart_equity",
            ),
            path("charts/kline/<str:code>/", self.admin_view(charts.kline), name="chart_kline"),
        ]

    def security_urls(self) -> list[URLPattern]:
        from storage_app.admin import security

        def at(route: str, page: Callable[..., HttpResponse], name: str) -> URLPattern:
            def view(request: HttpRequest) -> HttpResponse:
                return page(request, self.each_context(request))

            return path(f"security/{route}", self.admin_view(view), name=name)

        return [
            at("", security.security_page, "security"),
            at("code/", security.check_page, "second_factor_check"),
            at("set-up/", security.setup_page, "second_factor_setup"),
            at("recovery-codes/", security.renew_codes, "recovery_codes"),
            at("remove/", security.remove_second_factor, "second_factor_remove"),
            at("sessions/end/", security.end_sessions, "sessions_end"),
        ]

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Change one's own password as Django does, and write down that it was."""
        with transaction.atomic():
            before = signed_in(request).password
            answer = super().password_change(request, extra_context)
            if signed_in(request).password != before:
                access.record_password(of_request(request), signed_in(request))
        return answer

    def positions(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.positions import positions_page

        return positions_page(request, self.each_context(request))

    def statistics(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.statistics import statistics_page

        return statistics_page(request, self.each_context(request))

    def events(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.events import events_page

        return events_page(request, self.each_context(request))
