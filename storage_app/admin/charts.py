"""What the charts ask for, as JSON; each answer carries its words in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import FloatField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from storage_app.admin import facts
from storage_app.admin.sources import platform_store, reading_clickhouse, signed_in
from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput, Unavailable
from storage_app.contract.types import Adjust, OrderType
from storage_app.models import AccountSnapshot, User
from storage_app.services.access import visible_accounts

# Ten years of trading days.
MOST_BARS = 2500
VISIBLE_BARS = 120
AVERAGES = (5, 20, 60)
FILLS = {OrderType.BUY_TRADE.value: "buy", OrderType.SELL_TRADE.value: "sell"}
ORDERS = {OrderType.BUY_ORDER.value: "buy", OrderType.SELL_ORDER.value: "sell"}


def equity(request: HttpRequest, account_key: int) -> JsonResponse:
    """Answer with the daily total assets of one account."""
    if not request.user.has_perm("storage_app.view_account"):
        raise PermissionDenied
    account = get_object_or_404(visible_accounts(signed_in(request)), pk=account_key)
    newest = account.snapshots.order_by("-trade_date").values_list("trade_date", "total_assets")
    start = float(account.initial_capital)
    points = [
        {"time": day.isoformat(), "value": float(total), "start": start}
        for day, total in reversed(newest[:MOST_BARS])
    ]
    return _curve(points)


def equity_of_all(request: HttpRequest) -> JsonResponse:
    """Answer with the daily total assets of all accounts that the user may see.

    An account counts with its last known figure on days on which it has none; it joins the
    curve on the day of its first.
    """
    if not request.user.has_perm("storage_app.view_account"):
        raise PermissionDenied
    accounts = list(visible_accounts(signed_in(request)))
    found = AccountSnapshot.objects.filter(account__in=accounts).order_by("trade_date")
    rows = found.annotate(assets=Cast("total_assets", FloatField()))
    starts = {one.pk: float(one.initial_capital) for one in accounts}
    last: dict[int, float] = {}
    days: dict[date, tuple[float, float]] = {}
    for account, day, assets in rows.values_list("account_id", "trade_date", "assets"):
        last[account] = assets
        days[day] = sum(last.values()), sum(starts[one] for one in last)
    points = [
        {"time": f"{day}", "value": round(value, 2), "start": start}
        for day, (value, start) in days.items()
    ]
    return _curve(points[-MOST_BARS:])


def _curve(points: Sequence[Mapping[str, Any]]) -> JsonResponse:
    """Answer with points of `time`, `value` and `start`, the capital that it began with."""
    if not points:
        return JsonResponse({"message": _("No daily snapshot yet.")})
    return JsonResponse(
        {
            "points": points,
            "labels": {
                "total_assets": _("Total assets"),
                "initial_capital": _("Initial capital"),
                "since_start": _("Since start"),
            },
        }
    )


def kline(request: HttpRequest, code: str) -> JsonResponse:
    """Answer with the daily bars of a code and the fills that the user may see."""
    if not request.user.has_perm("trades_app.view_dailykline"):
        raise PermissionDenied
    try:
        asked, adjust = parse_code(code), Adjust(request.GET.get("adjust", "none"))
    except (InvalidInput, ValueError) as exc:
        raise Http404 from exc
    try:
        return JsonResponse(_kline(signed_in(request), asked, adjust, _visible(request)))
    except Unavailable as exc:
        return JsonResponse({"message": _("%(store)s does not answer.") % {"store": exc.backend}})


def _visible(request: HttpRequest) -> int:
    asked = request.GET.get("visible", "")
    return min(int(asked), MOST_BARS) if asked.isdecimal() and int(asked) else VISIBLE_BARS


def _kline(user: User, code: str, adjust: Adjust, visible: int) -> dict[str, Any]:
    # Brings pandas, which worker and beat, who load the pages too, would carry for nothing.
    from storage_app.admin import bar_quality

    with reading_clickhouse():
        frame = platform_store().get_kline(code, days=MOST_BARS, adjust=adjust)
        if frame.empty:
            return {"message": _("No bars for %(code)s.") % {"code": code}}
        days = bar_quality.days_of(frame)
        may_see_trades = user.has_perm("trades_app.view_trade")
        times = [day.isoformat() for day in days]
        columns = frame.assign(time=times).drop(columns=["datetime", "amount"])
        return {
            "bars": columns.to_dict("records"),
            "gaps": [day.isoformat() for day in bar_quality.missing_days(days)],
            "marks": _marks(user, code, times) if may_see_trades else [],
            "averages": AVERAGES,
            "visible_bars": visible,
            "labels": _kline_labels(),
        }


def _kline_labels() -> Mapping[str, str]:
    return {
        "open": pgettext("price", "Open"),
        "high": pgettext("price", "High"),
        "low": pgettext("price", "Low"),
        "close": pgettext("price", "Close"),
        "change": pgettext("price", "Change"),
        "volume": _("Volume (lots)"),
        "average": pgettext("price", "MA"),
        "missing": _("No bar"),
        "suspended": _("Suspended"),
    }


def _marks(user: User, code: str, days: Sequence[str]) -> list[dict[str, Any]]:
    """Mark the days with fills, by side; orders stand in where no fill was recorded."""
    rows = facts.trades_seen_by(user).filter(
        code=code, trade_date__gte=days[0], order_type__in=[*FILLS, *ORDERS]
    )
    found = rows.order_by().values_list("trade_date", "order_type").distinct()
    fills = {(day.isoformat(), FILLS[kind]) for day, kind in found if kind in FILLS}
    orders = {(day.isoformat(), ORDERS[kind]) for day, kind in found if kind in ORDERS}
    with_bars = set(days)
    words = {"buy": pgettext("trade", "B"), "sell": pgettext("trade", "S")}
    return [
        {"time": day, "side": side, "is_fill": (day, side) in fills, "text": words[side]}
        for day, side in sorted(fills | orders)
        # A mark needs a bar to stand on.
        if day in with_bars
    ]
