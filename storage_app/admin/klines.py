"""Daily bars from ClickHouse, read only, and a page with the candlesticks of one code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.decorators import display

from storage_app.admin import facts, figures
from storage_app.admin.keyset import KeysetAdmin, ListForm
from storage_app.admin.list_fields import CodeField, day_field, year_before
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput, Unavailable
from storage_app.contract.types import Adjust
from trades_app.models import DailyKline

ADJUSTMENTS: Mapping[str, Promise] = {
    Adjust.NONE.value: _("Unadjusted"),
    Adjust.QFQ.value: _("Forward adjusted"),
    Adjust.HFQ.value: _("Backward adjusted"),
}
# Trading days of a quarter, half a year, a year and ten years.
SPANS = ((60, _("3 months")), (120, _("6 months")), (250, _("1 year")), (2500, _("All")))
LATEST_BARS = 20


class BarFilter(ListForm):
    code = CodeField(label=_("Code"), required=False)
    adjust = forms.ChoiceField(label=_("Adjustment"), choices=list(ADJUSTMENTS.items()))
    since = day_field(_("From"))
    until = day_field(_("Until"))

    def completed(self, asked: dict[str, str]) -> dict[str, str]:
        """Bound the dates: the last date with data, or a year back for one code."""
        asked = {"adjust": Adjust.NONE.value} | asked
        if "since" in asked and "until" in asked:
            return asked
        newest = facts.last_date(facts.bars())
        if newest is None:
            return asked
        until = asked.get("until", newest.isoformat())
        since = year_before(until) if "code" in asked or "since" in asked else until
        if since == until:
            self.note = _("Last trading date with data: %(day)s") % {"day": until}
        return {"since": since, "until": until} | asked

    def narrow(self, rows: QuerySet[DailyKline]) -> QuerySet[DailyKline]:
        asked = self.cleaned_data
        wanted = {
            "adjust": asked["adjust"],
            "code": asked["code"],
            "trade_date__gte": asked["since"],
            "trade_date__lte": asked["until"],
        }
        return rows.filter(**{name: value for name, value in wanted.items() if value})


@admin.register(DailyKline)
class DailyKlineAdmin(KeysetAdmin):
    list_form = BarFilter
    key = ("-trade_date", "code")
    list_display = (
        "code_link",
        "trade_date",
        "num_open",
        "num_high",
        "num_low",
        "num_close",
        "num_volume",
        "money_amount",
        "adjustment",
        "source",
    )
    # A bar has no page of its own: its date is not unique. The code leads to the chart.
    list_display_links = None
    empty_hint = _("Import the directory of a trading program:")
    empty_command = "manage.py import_legacy DIRECTORY --account NUMBER"

    def get_queryset(self, request: HttpRequest) -> QuerySet[DailyKline]:
        return facts.bars()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("chart/", view(self.search_view), name="kline_search"),
            path("chart/<str:code>/", view(self.chart_view), name="trades_app_dailykline_chart"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kw: Any) -> Any:
        raise Http404

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kw: Any) -> Any:
        raise Http404

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """Lead to the chart of a code in any spelling, or back to the list that says what it is."""
        code = request.GET.get("code", "")
        try:
            found = reverse("admin:trades_app_dailykline_chart", args=[parse_code(code)])
        except InvalidInput:
            listed = reverse("admin:trades_app_dailykline_changelist")
            return HttpResponseRedirect(f"{listed}?{urlencode({'code': code})}")
        return HttpResponseRedirect(found)

    def chart_view(self, request: HttpRequest, code: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            asked = parse_code(code)
            adjust = Adjust(request.GET.get("adjust", Adjust.NONE.value))
        except (InvalidInput, ValueError) as exc:
            raise Http404 from exc
        try:
            with reading_clickhouse():
                rows = self._latest(asked, adjust)
                name = facts.names_of(signed_in(request), [asked]).get(asked, "")
                codes = facts.codes_with_bars(rows[0].trade_date) if rows else []
        except Unavailable as exc:
            return self.unavailable(request, exc)
        change = rows[0].close - rows[1].close if len(rows) > 1 else None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{asked} {name}".strip(),
            "opts": self.opts,
            "code": asked,
            "rows": rows,
            "change": change,
            "change_share": figures.ratio(change, rows[1].close) if len(rows) > 1 else None,
            "codes": codes,
            "shown": SPANS[1][0],
            "adjust": adjust.value,
            "adjustments": ADJUSTMENTS.items(),
            "spans": SPANS,
            "data_url": reverse("admin:chart_kline", args=[asked]),
        }
        return TemplateResponse(request, "storage_app/kline.html", context)

    def _latest(self, code: str, adjust: Adjust) -> list[DailyKline]:
        of_code = facts.bars().filter(code=code, adjust=adjust.value)
        newest = facts.last_date(of_code)
        if newest is None:
            return []
        # A bound on the date lets the engine skip whole years.
        recent = of_code.filter(
            trade_date__gte=newest.replace(day=1, month=1, year=newest.year - 1)
        )
        return list(recent.order_by("-trade_date")[:LATEST_BARS])

    @display(description=_("code"))
    def code_link(self, bar: DailyKline) -> str:
        url = reverse("admin:trades_app_dailykline_chart", args=[bar.code])
        return format_html('<a class="sq-link" href="{}">{}</a>', url, bar.code)

    @display(description=pgettext_lazy("price", "Open"))
    def num_open(self, bar: DailyKline) -> str:
        return figures.price(bar.open)

    @display(description=pgettext_lazy("price", "High"))
    def num_high(self, bar: DailyKline) -> str:
        return figures.price(bar.high)

    @display(description=pgettext_lazy("price", "Low"))
    def num_low(self, bar: DailyKline) -> str:
        return figures.price(bar.low)

    @display(description=pgettext_lazy("price", "Close"))
    def num_close(self, bar: DailyKline) -> str:
        change = bar.close - bar.open
        return format_html(
            '<span class="{}">{}</span>', figures.tone(change), figures.price(bar.close)
        )

    @display(description=_("volume (shares)"))
    def num_volume(self, bar: DailyKline) -> str:
        return figures.whole(bar.volume)

    @display(description=_("amount"))
    def money_amount(self, bar: DailyKline) -> str:
        return figures.money(bar.amount)

    @display(description=_("adjustment"))
    def adjustment(self, bar: DailyKline) -> Promise | str:
        return ADJUSTMENTS.get(bar.adjust, bar.adjust)
