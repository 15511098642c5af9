"""The first page: health, capital, positions, the last trades and two charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest

from storage_app.admin import facts, figures
from storage_app.admin.conflicts import open_conflicts
from storage_app.admin.health import read_health
from storage_app.admin.positions import Positions, read_positions
from storage_app.admin.running import running_jobs
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.admin.wording import describe_totals, describe_trades
from storage_app.contract.errors import Unavailable
from storage_app.models import Account, AccountSnapshot, Report, User
from storage_app.services.access import visible_accounts
from trades_app.market import clock
from trades_app.models import Trade

LAST_TRADES = 12
POSITIONS_SHOWN = 25
RECENT = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Capital:
    """An account with its newest daily snapshot and the one before it."""

    account: Account
    newest: AccountSnapshot | None = None
    previous: AccountSnapshot | None = None

    @property
    def total_assets(self) -> Decimal | None:
        return self.newest.total_assets if self.newest else self.account.total_assets

    @property
    def cash(self) -> Decimal | None:
        return self.newest.current_capital if self.newest else self.account.current_capital

    @property
    def position_value(self) -> Decimal | None:
        return self.newest.position_value if self.newest else self.account.position_value

    @property
    def change(self) -> Decimal | None:
        if self.newest is None or self.previous is None:
            return None
        return self.newest.total_assets - self.previous.total_assets

    @property
    def change_share(self) -> float | None:
        return figures.ratio(self.change, self.previous.total_assets if self.previous else None)

    @property
    def since_start(self) -> float | None:
        start = self.account.initial_capital
        total = self.total_assets
        return None if total is None else figures.ratio(total - start, start)


@dataclass(frozen=True, slots=True)
class Totals:
    """The capital of all accounts together; None where no account knows the figure."""

    total_assets: Decimal | None
    cash: Decimal | None
    position_value: Decimal | None
    change: Decimal | None
    on: date | None

    @property
    def change_share(self) -> float | None:
        if self.total_assets is None or self.change is None:
            return None
        return figures.ratio(self.change, self.total_assets - self.change)


@dataclass(frozen=True, slots=True)
class LastTrades:
    """The trades of the last date with some, `on`; `missing` is a store that is down."""

    on: date | None = None
    rows: Sequence[Trade] = ()
    totals: facts.Totals = field(default_factory=facts.Totals)
    codes: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    @property
    def is_today(self) -> bool:
        return self.on == clock.today()

    @property
    def kinds(self) -> list[dict[str, Any]]:
        return describe_totals(self.totals)

    @property
    def described(self) -> list[dict[str, Any]]:
        return describe_trades(self.rows)


def dashboard_context(request: HttpRequest) -> dict[str, Any]:
    user = signed_in(request)
    context: dict[str, Any] = {
        "health": read_health(),
        "open_conflicts": open_conflicts(request),
        "today": clock.today(),
    }
    if user.has_perm("storage_app.view_account"):
        capitals = read_capitals(list(visible_accounts(user)))
        context |= {"capitals": capitals, "totals": add_up(capitals)}
        shown = [one.account for one in capitals]
        context["positions"] = read_positions(user, shown, slice(POSITIONS_SHOWN))
    if user.has_perm("trades_app.view_trade"):
        context["trades"] = read_last_trades(user)
    if user.has_perm("trades_app.view_dailykline"):
        context["chart_codes"] = chart_codes(context)
    if user.has_perm("storage_app.view_report") and facts.scope_of(user) is None:
        context["reports"] = last_reports()
    if user.has_perm("storage_app.view_jobrun"):
        context["jobs"] = running_jobs(user)
    return context


def last_reports() -> Sequence[Report]:
    """Return the newest report of each kind, newest first."""
    place = Window(RowNumber(), partition_by=F("kind"), order_by=F("started_at").desc())
    rows = Report.objects.defer("summary", "findings").annotate(place=place)
    return list(rows.filter(place=1).order_by("-started_at"))


def read_capitals(accounts: Sequence[Account]) -> list[Capital]:
    """Read the two newest snapshots of every account in one query."""
    ranked = AccountSnapshot.objects.filter(account__in=accounts).annotate(
        place=Window(RowNumber(), partition_by=F("account_id"), order_by=F("trade_date").desc())
    )
    found: dict[int, list[AccountSnapshot]] = {}
    for snapshot in ranked.filter(place__lte=2).order_by("account_id", "-trade_date"):
        found.setdefault(snapshot.account_id, []).append(snapshot)
    return [Capital(account, *found.get(account.pk, [])) for account in accounts]


def add_up(capitals: Sequence[Capital]) -> Totals:
    return Totals(
        total_assets=_sum(one.total_assets for one in capitals),
        cash=_sum(one.cash for one in capitals),
        position_value=_sum(one.position_value for one in capitals),
        change=_sum(one.change for one in capitals),
        on=max((one.newest.trade_date for one in capitals if one.newest), default=None),
    )


def _sum(values: Any) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None


def read_last_trades(user: User) -> LastTrades:
    try:
        with reading_clickhouse():
            rows = facts.trades_seen_by(user)
            newest = facts.last_date(rows)
            if newest is None:
                return LastTrades()
            of_day = rows.filter(trade_date=newest)
            last = list(of_day.order_by("-traded_at", "trade_uid")[:LAST_TRADES])
            recent = rows.filter(trade_date__gte=newest - RECENT)
            codes = dict(
                recent.order_by("code").values_list("code", "name").distinct()[: facts.CODE_CHOICES]
            )
            return LastTrades(newest, last, facts.add_up(of_day), codes)
    except Unavailable as exc:
        return LastTrades(missing=exc.backend)


def chart_codes(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the codes to offer for the candlesticks: those held, then those traded lately."""
    positions: Positions | None = context.get("positions")
    trades: LastTrades | None = context.get("trades")
    offered = {row.state.code: row.name for row in positions.rows} if positions else {}
    for code, name in trades.codes.items() if trades else ():
        offered.setdefault(code, name)
    if not offered:
        offered = _any_codes()
    return [(code, f"{code} {name}".strip()) for code, name in offered.items()]


def _any_codes() -> dict[str, str]:
    try:
        with reading_clickhouse():
            newest = facts.last_date(facts.bars())
            return dict.fromkeys(facts.codes_with_bars(newest), "") if newest else {}
    except Unavailable:
        return {}
