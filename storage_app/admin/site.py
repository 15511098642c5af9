from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite


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

    def positions(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.positions import positions_page

        return positions_page(request, self.each_context(request))

    def statistics(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.statistics import statistics_page

        return statistics_page(request, self.each_context(request))

    def events(self, request: HttpRequest) -> HttpResponse:
        from storage_app.admin.events import events_page

        return events_page(request, self.each_context(request))
