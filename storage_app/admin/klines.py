"""Daily bars from ClickHouse, read only, and a page with the candlesticks of one code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    QueryDict,
)
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
from storage_app.admin.list_fields import day_field, year_before
from storage_app.admin.sources import platform_store, reading_clickhouse, signed_in
from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput, Unavailable
from storage_app.contract.types import Adjust
from storage_app.models import User
from trades_app.models import DailyKline

if TYPE_CHECKING:
    import pandas as pd

ADJUSTMENTS: Mapping[str, Promise] = {
    Adjust.NONE.value: _("Unadjusted"),
    Adjust.QFQ.value: _("Forward adjusted"),
    Adjust.HFQ.value: _("Backward adjusted"),
}
# Trading days of a quarter, half a year, a year and ten years.
SPANS = ((60, _("3 months")), (120, _("6 months")), (250, _("1 year")), (2500, _("All")))
LATEST_BARS = 20


class BarFilter(ListForm):
    code = forms.CharField(label=_("Code or name"), required=False, max_length=40)
    adjust = forms.ChoiceField(label=_("Adjustment"), choices=list(ADJUSTMENTS.items()))
    since = day_field(_("From"))
    until = day_field(_("Until"))

    def __init__(self, user: User, asked: QueryDict) -> None:
        super().__init__(user, asked)
        url = reverse("admin:trades_app_dailykline_suggest")
        self.fields["code"].widget.attrs |= {"data-suggest": url, "autocomplete": "off"}

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

    def clean_code(self) -> list[str]:
        text = str(self.cleaned_data["code"]).strip()
        codes = codes_meant_by(self.user, text) if text else []
        if text and not codes:
            raise ValidationError(_("No code and no name of a trade holds this text."))
        return codes

    def narrow(self, rows: QuerySet[DailyKline]) -> QuerySet[DailyKline]:
        asked = self.cleaned_data
        wanted = {
            "adjust": asked["adjust"],
            "code__in": asked["code"],
            "trade_date__gte": asked["since"],
            "trade_date__lte": asked["until"],
        }
        return rows.filter(**{name: value for name, value in wanted.items() if value})


def describe_bars(code: str, frame: pd.DataFrame, series: str) -> dict[str, Any]:
    """Return the latest bars, newest first, the last change, and what is wrong with the bars."""
    # They bring pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app.admin import bar_quality
    from trades_app.queries.bars import read_factors

    if frame.empty:
        return {"rows": []}
    latest = frame.iloc[-LATEST_BARS:]
    days = bar_quality.days_of(latest)
    records = latest.drop(columns="datetime").to_dict("records")
    rows = [{"trade_date": day, **bar} for day, bar in zip(days, records, strict=True)]
    rows.reverse()
    before = rows[1]["close"] if len(rows) > 1 else None
    change = None if before is None else rows[0]["close"] - before
    quality = bar_quality.inspect(code, frame, series, read_factors([code]))
    return {
        "rows": rows,
        "change": change,
        "change_share": figures.ratio(change, before),
        "quality": quality,
        "faults": quality.table(series),
        "gaps_shown": bar_quality.GAPS_SHOWN,
    }


def suggested_codes(user: User, text: str) -> dict[str, str]:
    """Return codes with bars, or with trades of such a name, that hold a text; with names."""
    named = dict(facts.traded_codes(user, text)) if user.has_perm("trades_app.view_trade") else {}
    newest = facts.last_date(facts.bars())
    begins = text.upper() if text.isascii() else ""
    listed = facts.codes_with_bars(newest, begins) if newest and (begins or not text) else ()
    return dict.fromkeys(listed, "") | named


def codes_meant_by(user: User, text: str) -> list[str]:
    """Return the codes that a reader may mean: one in any spelling, or part of a code or name."""
    try:
        return [parse_code(text)]
    except InvalidInput:
        return list(suggested_codes(user, text))


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
            path("suggest/", view(self.suggest_view), name="trades_app_dailykline_suggest"),
            path("chart/<str:code>/", view(self.chart_view), name="trades_app_dailykline_chart"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kw: Any) -> Any:
        raise Http404

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kw: Any) -> Any:
        raise Http404

    def suggest_view(self, request: HttpRequest) -> JsonResponse:
        """Answer with the codes that a text may be completed to."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            with reading_clickhouse():
                codes = suggested_codes(signed_in(request), request.GET.get("q", "").strip())
        except Unavailable:
            codes = {}
        found = [{"value": code, "label": name} for code, name in codes.items()]
        return JsonResponse({"found": found})

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """Lead to the chart of the code that a text means, or to the list where it is unclear."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = request.GET.get("code", "").strip()
        try:
            with reading_clickhouse():
                found = codes_meant_by(signed_in(request), text) if text else []
        except Unavailable as exc:
            return self.unavailable(request, exc)
        if len(found) == 1:
            return HttpResponseRedirect(reverse("admin:trades_app_dailykline_chart", args=found))
        listed = reverse("admin:trades_app_dailykline_changelist")
        return HttpResponseRedirect(f"{listed}?{urlencode({'code': text})}")

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
                frame = platform_store().get_kline(asked, days=SPANS[-1][0], adjust=adjust)
                name = facts.names_of(signed_in(request), [asked]).get(asked, "")
                described = describe_bars(asked, frame, adjust.value)
        except Unavailable as exc:
            return self.unavailable(request, exc)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{asked} {name}".strip(),
            "opts": self.opts,
            "code": asked,
            "shown": SPANS[1][0],
            "adjust": adjust.value,
            "adjustments": ADJUSTMENTS.items(),
            "spans": SPANS,
            "data_url": reverse("admin:chart_kline", args=[asked]),
            **described,
        }
        return TemplateResponse(request, "storage_app/kline.html", context)

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
