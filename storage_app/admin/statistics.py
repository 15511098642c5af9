"""What was traded and earned by day, month and year, per account and in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from storage_app.admin import numbers, periods
from storage_app.admin.keyset import ListForm
from storage_app.admin.list_fields import AccountField, day_field
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.contract.errors import Unavailable
from storage_app.models import Account, User
from storage_app.services.access import visible_accounts
from trades_app import ledger
from trades_app.market import clock
from trades_app.queries.trades import AccountFills, read_account_fills

UNITS: Mapping[str, Promise] = {
    "day": gettext_lazy("Day"),
    "month": gettext_lazy("Month"),
    "year": gettext_lazy("Year"),
}
# A page of one row per day for ten years would be longer than anybody reads.
ROWS_SHOWN = 250
FIRST_DAY = date(1990, 12, 19)

Period = Mapping[str, Any]


class StatisticsFilter(ListForm):
    account = AccountField()
    by = forms.ChoiceField(label=gettext_lazy("Group by"), choices=list(UNITS.items()))
    since = day_field(gettext_lazy("From"))
    until = day_field(gettext_lazy("Until"))

    def __init__(self, user: User, asked: QueryDict) -> None:
        self.period = asked.get(periods.PERIOD, "")
        super().__init__(user, asked)
        self.fields["account"].offer(user)  # type: ignore[attr-defined]

    def completed(self, asked: dict[str, str]) -> dict[str, str]:
        asked = {"by": "month"} | asked
        if "since" not in asked and "until" not in asked:
            since, until = periods.bounds(self.period)
            asked |= {"since": since, "until": until}
        return asked


@dataclass(frozen=True, slots=True)
class AccountResult:
    """An account with its figures over the whole time asked for."""

    account: Account
    title: str
    row: Period


def statistics_page(request: HttpRequest, context: Mapping[str, Any]) -> HttpResponse:
    if not request.user.has_perm("trades_app.view_trade"):
        raise PermissionDenied
    shown = {**context, "title": _("Trade statistics")}
    try:
        with reading_clickhouse():
            shown |= read_statistics(signed_in(request), request.GET)
    except Unavailable as exc:
        shown["backend"] = exc.backend
        return TemplateResponse(request, "storage_app/unavailable.html", shown, status=503)
    return TemplateResponse(request, "storage_app/statistics.html", shown)


def read_statistics(user: User, asked: QueryDict) -> dict[str, Any]:
    """Return what the page shows; reads every fill up to the last day asked for, once."""
    form = StatisticsFilter(user, asked)
    given = form.cleaned_data if form.is_valid() else {}
    since, until = given.get("since") or FIRST_DAY, given.get("until") or clock.today()
    chosen = [one for one in visible_accounts(user) if given.get("account") in ("", one.account_id)]
    found = read_account_fills([one.account_id for one in chosen], until)
    matched = ledger.match(found.fills, since, until)
    unit = given.get("by", "month")
    rows = matched.by_period(unit)
    return {
        "form": form,
        "periods": periods.choices(asked, given.get("since"), given.get("until")),
        "unit": UNITS[unit],
        "rows": [_with_net(row) for row in reversed(rows[-ROWS_SHOWN:])],
        "left_out": max(len(rows) - ROWS_SHOWN, 0),
        "total": _with_net(matched.total()),
        "results": _by_account(user, chosen, found, matched) if len(chosen) > 1 else [],
        "chart": chart_data(rows),
    }


def _by_account(
    user: User,
    accounts: Sequence[Account],
    found: AccountFills,
    matched: ledger.Results,
) -> list[AccountResult]:
    owners = np.array(found.accounts, dtype=object)
    owner_of = owners[matched.fills.group]
    return [
        AccountResult(
            account,
            numbers.title(user, account),
            _with_net(matched.take(owner_of == account.account_id).total()),
        )
        for account in accounts
    ]


def _with_net(row: Period) -> Period:
    return {**row, "net": row["profit"] - row["fee"]}


def chart_data(rows: Sequence[Period]) -> dict[str, Any]:
    """Return the periods for the chart: profit after fees, its running sum, turnover."""
    points, running = [], 0.0
    for row in rows:
        net = row["profit"] - row["fee"]
        running += net
        points.append(
            {
                "time": f"{row['period']}-01-01"[:10],
                "label": row["period"],
                "net": round(net, 2),
                "running": round(running, 2),
                "turnover": row["total_amount"],
            }
        )
    labels = {
        "net": _("Profit after fees"),
        "running": _("Running total"),
        "turnover": _("Turnover"),
    }
    return {"periods": points, "labels": labels} if points else {"message": _("No fills yet.")}
