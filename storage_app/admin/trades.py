"""Orders, fills and cancels from ClickHouse, read only, within the user's accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from storage_app.admin import facts, figures
from storage_app.admin.keyset import KeysetAdmin, ListForm
from storage_app.admin.list_fields import CodeField, day_field, year_before
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.admin.wording import KINDS, PRICE_KINDS, TONES, describe_trades
from storage_app.contract.errors import Unavailable
from storage_app.services.access import visible_accounts
from trades_app.models import Trade

ANY = ("", _("All"))


class TradeFilter(ListForm):
    account = forms.ChoiceField(label=_("Account"), required=False)
    code = CodeField(label=_("Code"), required=False)
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[ANY, *KINDS.items()])
    strategy = forms.CharField(label=_("Strategy"), required=False, max_length=100)
    since = day_field(_("From"))
    until = day_field(_("Until"))

    def __init__(self, user: Any, asked: Any) -> None:
        super().__init__(user, asked)
        accounts = [(one.account_id, str(one)) for one in visible_accounts(user)]
        self.fields["account"].choices = [ANY, *accounts]  # type: ignore[attr-defined]

    def completed(self, asked: dict[str, str]) -> dict[str, str]:
        """Bound the dates: the last date with data, or a year back when a filter is set."""
        if "since" in asked and "until" in asked:
            return asked
        newest = facts.last_date(facts.trades_seen_by(self.user))
        if newest is None:
            return asked
        until = asked.get("until", newest.isoformat())
        if not asked:
            self.note = _("Last trading date with data: %(day)s") % {"day": newest}
            return {"since": until, "until": until}
        return {"since": year_before(until), "until": until} | asked

    def narrow(self, rows: QuerySet[Trade]) -> QuerySet[Trade]:
        asked = self.cleaned_data
        wanted = {
            "account_id": asked["account"],
            "code": asked["code"],
            "order_type": asked["kind"],
            "strategy_name": asked["strategy"],
            "trade_date__gte": asked["since"],
            "trade_date__lte": asked["until"],
        }
        return rows.filter(**{name: value for name, value in wanted.items() if value})


@admin.register(Trade)
class TradeAdmin(KeysetAdmin):
    list_form = TradeFilter
    key = ("-traded_at", "trade_uid")
    list_display = (
        "time",
        "account_id",
        "code",
        "name",
        "kind",
        "num_price",
        "num_volume",
        "money_amount",
        "strategy_name",
        "remark",
    )
    list_display_links = ("time",)
    empty_hint = _("Import the directory of a trading program:")
    empty_command = "manage.py import_legacy DIRECTORY --account NUMBER"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trade]:
        return facts.trades_seen_by(signed_in(request))

    @display(description=_("time"))
    def time(self, trade: Trade) -> str:
        return f"{timezone.localtime(trade.traded_at):%Y-%m-%d %H:%M:%S}"

    @display(description=_("kind"))
    def kind(self, trade: Trade) -> str:
        return figures.badge(KINDS[trade.order_type], TONES.get(trade.order_type, ""))

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
        """Show one trade and the other rows of its order; there is nothing to change."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            with reading_clickhouse():
                trade = self._find(request, object_id)
                related = list(self._of_one_order(request, trade)) if trade.order_id else []
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
            "related": describe_trades(related),
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
