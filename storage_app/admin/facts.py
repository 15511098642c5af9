"""Trades and code names as the pages read them: one copy of each row, in the user's scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from clickhouse_backend.models import anyLast
from django.db.models import Max, QuerySet

from storage_app.models import User
from storage_app.services.access import allowed_account_ids
from trades_app.models import DailyKline, Trade

if TYPE_CHECKING:
    from collections.abc import Mapping

# Replaced copies of a row stay in a table until it merges; no row of one partition ever
# replaces a row of another.
ONE_COPY = {"final": 1, "do_not_merge_across_partitions_select_final": 1}
CODE_CHOICES = 50


def trades_seen_by(user: User) -> QuerySet[Trade]:
    rows = Trade.objects.settings(**ONE_COPY)
    allowed = allowed_account_ids(user)
    return rows if allowed is None else rows.filter(account_id__in=allowed)


def bars() -> QuerySet[DailyKline]:
    return DailyKline.objects.settings(**ONE_COPY)


def last_date(rows: QuerySet[Trade] | QuerySet[DailyKline]) -> date | None:
    """Return the newest trading date among the rows."""
    found: date | None = rows.order_by().aggregate(newest=Max("trade_date"))["newest"]
    # ClickHouse answers the maximum of nothing with the epoch.
    return found if found and found.year > 1970 else None


def names_of(user: User, codes: Iterable[str]) -> Mapping[str, str]:
    """Return the newest known name of each code, from the trades the user may see."""
    rows = trades_seen_by(user).filter(code__in=list(codes)).order_by()
    return dict(rows.values("code").annotate(newest=anyLast("name")).values_list("code", "newest"))


def traded_codes(user: User, since: date) -> list[str]:
    rows = trades_seen_by(user).filter(trade_date__gte=since).order_by("code")
    return list(rows.values_list("code", flat=True).distinct()[:CODE_CHOICES])


def codes_with_bars(on: date, begins: str = "") -> Sequence[str]:
    rows = bars().filter(adjust="none", trade_date=on, code__startswith=begins)
    return list(rows.order_by("code").values_list("code", flat=True)[:CODE_CHOICES])
