"""Orders, fills and cancels from ClickHouse, read only, within the user's accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from storage_app.admin import exports, facts, figures, numbers, periods
from storage_app.admin.keyset import KeysetAdmin, ListForm
from storage_app.admin.list_fields import AccountField, day_field, year_before
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.admin.wording import (
    ASSUMED,
    KINDS,
    PRICE_KINDS,
    TONES,
    describe_totals,
    describe_trades,
)
from storage_app.contract.errors import Unavailable
from storage_app.services.conflicts import visible_conflicts
from trades_app.market import sources
from trades_app.models import Trade

if TYPE_CHECKING:
    from storage_app.admin.lots import Lots

ANY = ("", _("All"))


class TradeFilter(ListForm):
    account = AccountField()
    code = forms.CharField(label=_("Code or name"), required=False, max_length=40)
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[ANY, *KINDS.items()])
    strategy = forms.CharField(label=_("Strategy"), required=False, max_length=100)
    since = day_field(_("From"))
    until = day_field(_("Until"))
    period = forms.CharField(required=False, widget=forms.HiddenInput)

    suggests = ("code", "strategy")

    def __init__(self, user: Any, asked: Any) -> None:
        super().__init__(user, asked)
        self.fields["account"].offer(user)  # type: ignore[attr-defined]
        for name in self.suggests:
            url = reverse("admin:trades_app_trade_suggest", args=[name])
            self.fields[name].widget.attrs |= {"data-suggest": url, "autocomplete": "off"}

    def completed(self, asked: dict[str, str]) -> dict[str, str]:
        """Bound the dates: the last date with data, or a year back when a filter is set."""
        if "since" in asked or "until" in asked:
            asked.pop(periods.PERIOD, None)
            return {"since": year_before(asked.get("until", ""))} | asked
        if asked.get(periods.PERIOD) == periods.ALL:
            return asked
        since, until = periods.bounds(asked.pop(periods.PERIOD, ""))
        return asked | ({"since": since, "until": until} if since else self._latest(asked))

    def _latest(self, asked: dict[str, str]) -> dict[str, str]:
        newest = facts.last_date(facts.trades_seen_by(self.user))
        if newest is None:
            return {}
        until = newest.isoformat()
        if asked:
            return {"since": year_before(until), "until": until}
        self.note = _("Last trading date with data: %(day)s") % {"day": until}
        return {"since": until, "until": until}

    def clean_code(self) -> list[str]:
        text = str(self.cleaned_data["code"]).strip()
        codes = list(facts.codes_meant_by(self.user, text)) if text else []
        if text and not codes:
            raise ValidationError(_("No code and no name of a trade holds this text."))
        return codes

    def narrow(self, rows: QuerySet[Trade]) -> QuerySet[Trade]:
        asked = self.cleaned_data
        wanted = {
            "account_id": asked["account"],
            "code__in": asked["code"],
            "order_type": asked["kind"],
            "strategy_name": asked["strategy"],
            "trade_date__gte": asked["since"],
            "trade_date__lte": asked["until"],
        }
        return rows.filter(**{name: value for name, value in wanted.items() if value})

    def periods(self, request: HttpRequest) -> Any:
        """Return the periods to offer above the list, given that the form is valid."""
        asked = getattr(self, "cleaned_data", {})
        return periods.choices(request.GET, asked.get("since"), asked.get("until"))


@admin.register(Trade)
class TradeAdmin(KeysetAdmin):
    list_form = TradeFilter
    key = ("-trade_date", "-traded_at", "trade_uid")
    list_display = (
        "time",
        "code",
        "name",
        "kind",
        "num_price",
        "num_volume",
        "money_amount",
        "account_id",
        "strategy_name",
        "remark",
    )
    list_display_links = ("time",)
    list_summary_template = "storage_app/parts/trade_totals.html"
    empty_hint = _("Import the directory of a trading program:")
    empty_command = "manage.py import_legacy DIRECTORY --account NUMBER"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trade]:
        return facts.trades_seen_by(signed_in(request))

    def get_list_display(self, request: HttpRequest) -> Any:
        user = signed_in(request)

        @display(description=_("account"))
        def account(trade: Trade) -> str:
            return numbers.shown_to(user, trade.account_id)

        return [account if name == "account_id" else name for name in self.list_display]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("export/<str:kind>/", view(self.export_view), name="trades_app_trade_export"),
            path("suggest/<str:name>/", view(self.suggest_view), name="trades_app_trade_suggest"),
            *super().get_urls(),
        ]

    def summarise(self, rows: QuerySet[Any]) -> Any:
        totals = facts.add_up(rows)
        return {"totals": totals, "kinds": describe_totals(totals)}

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Send every row of the filtered list, however many there are."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in exports.WRITERS:
            raise Http404
        user = signed_in(request)
        try:
            with reading_clickhouse():
                form = self.list_form(user, request.GET)
                if not form.is_valid():
                    back = reverse("admin:trades_app_trade_changelist")
                    return HttpResponseRedirect(f"{back}?{request.GET.urlencode()}")
                rows = form.narrow(self.get_queryset(request)).order_by(*self.key)
                return exports.answer(kind, rows, user)
        except Unavailable as exc:
            return self.unavailable(request, exc)

    def suggest_view(self, request: HttpRequest, name: str) -> JsonResponse:
        """Answer with what a field of the filter may be completed to."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if name not in TradeFilter.suggests:
            raise Http404
        user, text = signed_in(request), request.GET.get("q", "").strip()
        try:
            with reading_clickhouse():
                if name == "code":
                    codes = facts.traded_codes(user, text)
                    found = [{"value": code, "label": codes[code]} for code in codes]
                else:
                    found = [{"value": one} for one in facts.strategies_traded(user, text)]
        except Unavailable:
            found = []
        return JsonResponse({"found": found})

    @display(description=_("time"))
    def time(self, trade: Trade) -> str:
        return f"{timezone.localtime(trade.traded_at):%Y-%m-%d %H:%M:%S}"

    @display(description=_("kind"))
    def kind(self, trade: Trade) -> str:
        word: Promise | str = KINDS[trade.order_type]
        if trade.source == sources.ASSUMED:
            word = f"{word} · {ASSUMED}"
        return figures.badge(word, TONES.get(trade.order_type, ""))

    @display(description=_("price"))
    def num_price(self, trade: Trade) -> str:
        return figures.price(trade.price)

    @display(description=_("volume (shares)"))
    def num_volume(self, trade: Trade) -> str:
        return figures.whole(trade.volume)

    @display(description=_("amount"))
    def money_amount(self, trade: Trade) -> str:
        return figures.money(trade.amount)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one trade, its order, lots and conflict; there is nothing to change."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            with reading_clickhouse():
                trade = self._find(request, object_id)
                related = list(self._of_one_order(request, trade)) if trade.order_id else []
                lots = _read_lots(trade) if trade.order_type in facts.FILLS else None
        except Unavailable as exc:
            return self.unavailable(request, exc)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{trade.code} {trade.name}",
            "opts": self.opts,
            "trade": trade,
            "kind": KINDS[trade.order_type],
            "tone": TONES.get(trade.order_type, ""),
            "price_kind": PRICE_KINDS[trade.price_type],
            "is_assumed": trade.source == sources.ASSUMED,
            "related": describe_trades(related),
            "lots": lots,
            "conflict": self._conflict(request, trade),
        }
        return TemplateResponse(request, "storage_app/trade.html", context)

    def _find(self, request: HttpRequest, trade_uid: str) -> Trade:
        try:
            found = self.get_queryset(request).filter(pk=trade_uid).first()
        except (ValidationError, ValueError) as exc:
            raise Http404 from exc
        if found is None:
            raise Http404
        return found

    def _of_one_order(self, request: HttpRequest, trade: Trade) -> QuerySet[Trade]:
        same_day = Q(account_id=trade.account_id, trade_date=trade.trade_date, code=trade.code)
        rows = self.get_queryset(request).filter(same_day, order_id=trade.order_id)
        return rows.exclude(pk=trade.pk).order_by("traded_at", "trade_uid")[: self.list_per_page]

    def _conflict(self, request: HttpRequest, trade: Trade) -> Any:
        user = signed_in(request)
        if not user.has_perm("storage_app.view_tradeconflict"):
            return None
        return visible_conflicts(user).filter(trade_uid=str(trade.pk)).first()


def _read_lots(trade: Trade) -> Lots:
    # Brings pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app.admin.lots import read_lots

    return read_lots(trade)
