"""Trades and code names as the pages read them: one copy of each row, in the user's scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from clickhouse_backend.models import anyLast
from django.db.models import Count, Max, Q, QuerySet, Sum

from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import OrderType
from storage_app.models import User
from storage_app.services.access import allowed_account_ids
from trades_app.market.sources import ASSUMED
from trades_app.models import DailyKline, Trade

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

# Replaced copies of a row stay in a table until it merges; no row of one partition ever
# replaces a row of another.
ONE_COPY = {"final": 1, "do_not_merge_across_partitions_select_final": 1}
CODE_CHOICES = 50
MOST_CODES = 1000
FILLS = (OrderType.BUY_TRADE.value, OrderType.SELL_TRADE.value)


@dataclass(frozen=True, slots=True)
class KindTotal:
    """The rows of one kind together: how many, how many shares, how many yuan."""

    order_type: str
    rows: int
    volume: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """A set of trades added up, one total per kind that it has."""

    kinds: Sequence[KindTotal] = ()
    assumed: int = 0

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.kinds)

    @property
    def turnover(self) -> Decimal | int:
        """What was bought and sold, in yuan; orders and cancels moved nothing."""
        return sum(one.amount for one in self.kinds if one.order_type in FILLS)


def trades_seen_by(user: User) -> QuerySet[Trade]:
    rows = Trade.objects.settings(**ONE_COPY)
    allowed = scope_of(user)
    return rows if allowed is None else rows.filter(account_id__in=allowed)


def scope_of(user: User) -> frozenset[str] | None:
    """Return the account numbers that a user may see, None for all; asked once a request."""
    # The user is read anew with every request, as Django's own cache of permissions relies on.
    if not hasattr(user, "_scope"):
        user._scope = allowed_account_ids(user)  # type: ignore[attr-defined]  # noqa: SLF001
    scope: frozenset[str] | None = user._scope  # type: ignore[attr-defined]  # noqa: SLF001
    return scope


def bars() -> QuerySet[DailyKline]:
    return DailyKline.objects.settings(**ONE_COPY)


def last_date(rows: Any) -> date | None:
    """Return the newest trading date among the rows, which are of trades or bars."""
    # A copy that was replaced has the date of the one that stands; without FINAL the engine
    # finds the date in the metadata of the partitions.
    seen = rows.settings(final=0).order_by()
    found: date | None = seen.aggregate(newest=Max("trade_date"))["newest"]
    # ClickHouse answers the maximum of nothing with the epoch.
    return found if found and found.year > 1970 else None


def names_of(user: User, codes: Iterable[str]) -> Mapping[str, str]:
    """Return the newest known name of each code, from the trades the user may see."""
    rows = trades_seen_by(user).filter(code__in=list(codes)).order_by()
    return dict(rows.values("code").annotate(newest=anyLast("name")).values_list("code", "newest"))


def add_up(rows: QuerySet[Trade]) -> Totals:
    """Add a set of trades up in ClickHouse, one query whatever its size."""
    assumed = Count("trade_uid", filter=Q(source=ASSUMED, order_type__in=FILLS))
    kinds = (
        rows.order_by()
        .values("order_type")
        .annotate(rows=Count("trade_uid"), shares=Sum("volume"), yuan=Sum("amount"), guess=assumed)
    )
    found = list(kinds.order_by("order_type"))
    return Totals(
        [KindTotal(one["order_type"], one["rows"], one["shares"], one["yuan"]) for one in found],
        sum(one["guess"] for one in found),
    )


def traded_codes(user: User, text: str, most: int = CODE_CHOICES) -> Mapping[str, str]:
    """Return codes that begin with a text, or whose name holds it, with their newest name."""
    rows = trades_seen_by(user).order_by()
    if text:
        rows = rows.filter(Q(code__istartswith=text) | Q(name__icontains=text))
    named = rows.values("code").annotate(newest=anyLast("name")).order_by("code")
    return dict(named.values_list("code", "newest")[:most])


def codes_meant_by(user: User, text: str) -> Sequence[str]:
    """Return the codes that a reader may mean: one in any spelling, or part of a code or name."""
    try:
        return [parse_code(text)]
    except InvalidInput:
        return list(traded_codes(user, text, MOST_CODES))


def strategies_traded(user: User, text: str) -> Sequence[str]:
    rows = trades_seen_by(user).filter(strategy_name__icontains=text).exclude(strategy_name="")
    names = rows.order_by("strategy_name").values_list("strategy_name", flat=True)
    return list(names.distinct()[:CODE_CHOICES])


def codes_with_bars(on: date, begins: str = "") -> Sequence[str]:
    rows = bars().filter(adjust="none", trade_date=on, code__startswith=begins)
    return list(rows.order_by("code").values_list("code", flat=True)[:CODE_CHOICES])
