"""What an export is to hold, and the rows of that, read in bounded pieces."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pandas as pd

from storage_app.contract.types import Adjust, BookCopy, Trade
from storage_app.models import Account, AccountSnapshot
from storage_app.stores.clickhouse import to_trade, translating
from storage_app.stores.redis import RedisPositions
from trades_app import copies
from trades_app.bar_frames import RAW
from trades_app.queries import bars
from trades_app.queries import trades as trade_queries

BATCH_BARS: Final = 200_000
BATCH_CODES: Final = 500
# As early and as late as ClickHouse has dates.
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2149, 6, 6)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which account (None: all) and which trading dates, inclusive; bars are of nobody."""

    account: str | None = None
    since: date | None = None
    until: date | None = None

    def has(self, account_id: str) -> bool:
        return self.account is None or self.account == account_id

    def has_day(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def first(self) -> date:
        return self.since or _FIRST

    @property
    def last(self) -> date:
        return self.until or _LAST


def accounts(scope: Scope) -> list[Account]:
    return [one for one in Account.objects.order_by("account_id") if scope.has(one.account_id)]


def account_ids(scope: Scope) -> list[str]:
    """Return every account number that anything is kept for, registered or not."""
    numbers = {one.account_id for one in Account.objects.all()}
    numbers |= {book.partition("/")[0] for book in RedisPositions().list_books()}
    with translating():
        numbers |= set(copies.trade_accounts())
    return sorted(number for number in numbers if scope.has(number))


def books(scope: Scope) -> Iterator[tuple[str, BookCopy]]:
    store = RedisPositions()
    for book in store.list_books():
        if scope.has(book.partition("/")[0]):
            yield book, store.dump(book)


def snapshots(scope: Scope, account_id: str) -> list[AccountSnapshot]:
    found = AccountSnapshot.objects.filter(account__account_id=account_id).order_by("trade_date")
    return [one for one in found if scope.has_day(one.trade_date)]


def trades(scope: Scope, account_id: str) -> Iterator[list[Trade]]:
    """Yield the trades of an account, a month at a time, oldest first."""
    with translating():
        for month in copies.trade_months(account_id):
            end = month.replace(day=monthrange(month.year, month.month)[1])
            first, last = max(month, scope.first), min(end, scope.last)
            if first > last:
                continue
            rows = trade_queries.find_trades(account_id, first, last, None)
            found = [to_trade(row) for row in rows]
            yield sorted(found, key=lambda one: (one.traded_at, one.trade_uid))


def series() -> list[str]:
    """Return the adjustments that bars are stored for, raw ones first."""
    with translating():
        stored = set(bars.read_fingerprints())
    return [one.value for one in Adjust if one.value in stored | {RAW}]


def bar_days(adjust: str) -> Mapping[str, int]:
    """Return how many days each code has."""
    with translating():
        found = bars.read_fingerprints().get(adjust, {})
    return {code: days for code, (days, _newest, _version) in found.items()}


def bar_frames(
    scope: Scope, adjust: str, days: Mapping[str, int]
) -> Iterator[tuple[Sequence[str], pd.DataFrame]]:
    """Yield codes and their bars (`code` and BAR_COLUMNS), a batch at a time."""
    for batch in _batches(days):
        with translating():
            frame = bars.read_bars(adjust, batch, scope.since, scope.until)
        yield batch, frame.assign(code=frame["code"].astype(object))


def factors() -> pd.DataFrame:
    with translating():
        return bars.read_factors(None)


def _batches(days: Mapping[str, int]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    rows = 0
    for code in sorted(days):
        if batch and (rows + days[code] > BATCH_BARS or len(batch) == BATCH_CODES):
            yield batch
            batch, rows = [], 0
        batch.append(code)
        rows += days[code]
    if batch:
        yield batch
