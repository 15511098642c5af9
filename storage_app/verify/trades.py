"""Trades: ClickHouse against the CSV files, sums per account and day first, then the rows.

Sums cost one query an account and one pass over its files, so memory holds days, not rows; the
rows of days that differ are read in batches. Trades never change, so a row that one store lacks
is either owed, which the journal knows, or lost.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext_noop

from storage_app.contract.errors import Corrupt
from storage_app.contract.trade_documents import differing_fields
from storage_app.contract.types import OrderType, PriceType, Trade
from storage_app.stores.clickhouse import translating
from storage_app.verify import pending, trade_rows
from storage_app.verify.books import accounts_of_other_hosts
from storage_app.verify.differences import Difference, Kind, Problem, Side, damaged
from storage_app.verify.scope import Examination, Scope
from trades_app.checksums import DaySum
from trades_app.queries import checksums

# Rows of both stores in memory at once.
BATCH_ROWS: Final = 5_000
# Differences told row by row; days beyond are told as a whole.
DETAILED: Final = 1000
LEDGER: Final = "clickhouse trade"
LINES: Final = "lines"
_TRADED_ELSEWHERE: Final = gettext_noop(
    "Host %(host)s trades %(account)s and keeps the files of its trades: compare them there."
)
_SUMS: Final = ("count", "volume", "amount", "checksum")


@dataclass(slots=True)
class DayRows:
    """Both stores' trades of some days of an account; a uid may stand on two lines of a file."""

    ledger: dict[str, Trade] = field(default_factory=dict)
    files: dict[str, list[Trade]] = field(default_factory=dict)


def compare(exam: Examination) -> Iterator[Difference]:
    scope = exam.scope
    if not scope.keeps_mirror:
        exam.note(gettext_noop("ENABLE_DUAL_WRITE is off: there are no files to compare."))
        return
    with translating():
        known = {*checksums.list_accounts(), *trade_rows.list_accounts(scope.data_dir)}
    accounts = [account for account in sorted(known) if scope.has_account(account)]
    told = 0
    elsewhere = accounts_of_other_hosts(scope.data_dir)
    for number, account in enumerate(accounts):
        exam.step(Kind.TRADES, number, len(accounts))
        if account in elsewhere:
            exam.note(_TRADED_ELSEWHERE, account=account, host=elsewhere[account])
            continue
        for difference in _compare_account(exam, account, DETAILED - told):
            told += 1
            yield difference
    exam.step(Kind.TRADES, len(accounts), len(accounts))


def unit_of(account: str, day: date) -> str:
    return f"{account} {day}"


def file_unit(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _compare_account(exam: Examination, account: str, details: int) -> Iterator[Difference]:
    scope = exam.scope
    files, unreadable = _sum_files(scope, account)
    for error in unreadable.values():
        yield damaged(Kind.TRADES, error, file_unit(error.path), account)
    with translating():
        ledger = checksums.sum_days(account, scope.since, scope.until)
    exam.counts["days"] += len(ledger.keys() | files.keys())
    exam.counts["trades"] += sum(one.count for one in ledger.values())
    days = sorted(
        day
        for day in ledger.keys() | files.keys()
        if ledger.get(day) != files.get(day) and day.year not in unreadable
    )
    if not days:
        return
    # An import writes to ClickHouse before the journal has it.
    time.sleep(scope.patience.entries)
    for batch in _batches(days, ledger, files):
        exam.watch.step(account, 0)
        if details <= 0:
            for day in batch:
                yield from _whole_day(account, day, ledger.get(day), files.get(day))
            continue
        for difference in compare_days(exam, account, batch):
            details -= 1
            yield difference


def _sum_files(scope: Scope, account: str) -> tuple[dict[date, DaySum], dict[int, Corrupt]]:
    """Return the sums of the files by day, and by year what is wrong with the others."""
    sums: dict[str, DaySum] = {}
    unreadable: dict[int, Corrupt] = {}
    for path in trade_rows.account_paths(scope.data_dir, account):
        try:
            trade_rows.add_to(sums, path)
        except Corrupt as exc:
            unreadable[int(path.stem)] = exc
    by_day = {date.fromisoformat(day): one for day, one in sums.items()}
    return {day: one for day, one in by_day.items() if scope.has_day(day)}, unreadable


def _batches(
    days: Sequence[date], ledger: dict[date, DaySum], files: dict[date, DaySum]
) -> Iterator[list[date]]:
    batch: list[date] = []
    rows = 0
    for day in days:
        batch.append(day)
        rows += max(side.get(day, DaySum()).count for side in (ledger, files))
        if rows >= BATCH_ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def compare_days(exam: Examination, account: str, days: Sequence[date]) -> Iterator[Difference]:
    """Yield the rows that differ, field by field, but for those that are on their way."""
    first = _suspects(read_days(exam.scope, account, days))
    if not first:
        return
    # What arrived between the two reads is in both now, or in the journal.
    owed = pending.trade_uids(exam.scope.journal)
    rows = read_days(exam.scope, account, days)
    suspects = [uid for uid in _suspects(rows) if uid in first and uid not in owed]
    exam.counts["owed trades"] += len(first & owed)
    for uid in sorted(suspects):
        yield from _compare_rows(exam.scope, account, uid, rows)


def read_days(scope: Scope, account: str, days: Sequence[date]) -> DayRows:
    """Return the rows of both stores; a file that cannot be read counts as empty."""
    rows = DayRows()
    with translating():
        for values in checksums.read_days(account, days):
            trade = _to_trade(values)
            rows.ledger[trade.trade_uid] = trade
    wanted, years = frozenset(days), {day.year for day in days}
    for path in trade_rows.account_paths(scope.data_dir, account):
        if int(path.stem) in years:
            for _, trade in trade_rows.read_trades(path):
                if trade.trade_date in wanted:
                    rows.files.setdefault(trade.trade_uid, []).append(trade)
    return rows


def _suspects(rows: DayRows) -> set[str]:
    return {uid for uid in rows.ledger.keys() | rows.files.keys() if not _agree(rows, uid)}


def _agree(rows: DayRows, uid: str) -> bool:
    one, lines = rows.ledger.get(uid), rows.files.get(uid, [])
    return one is not None and len(lines) == 1 and not differing_fields(one, lines[0])


def _compare_rows(scope: Scope, account: str, uid: str, rows: DayRows) -> Iterator[Difference]:
    one, lines = rows.ledger.get(uid), rows.files.get(uid, [])
    shown = one or lines[0]
    path = f"trades/{account}/{shown.trade_date.year}.csv"
    key = f"{account} {shown.trade_date} {shown.code} {uid}"
    unit = unit_of(account, shown.trade_date)

    def differ(problem: Problem, name: str, left: Any, right: Any) -> Difference:
        sides = Side(LEDGER, left), Side(path, right)
        return Difference(Kind.TRADES, problem, key, name, *sides, unit, account)

    if one is None or not lines:
        values = _describe(one), _describe(lines[0] if lines else None)
        yield differ(Problem.MISSING, "", *values)
        return
    if len(lines) > 1:
        yield differ(Problem.DUPLICATE, LINES, 1, len(lines))
    names = Counter(name for line in lines for name in differing_fields(one, line))
    for name in names:
        others = [
            getattr(line, name) for line in lines if getattr(line, name) != getattr(one, name)
        ]
        yield differ(Problem.DIFFERS, name, getattr(one, name), others[0])


def _whole_day(
    account: str, day: date, ledger: DaySum | None, files: DaySum | None
) -> Iterator[Difference]:
    """Yield what a day comes to on either side, without looking at its rows."""
    sides = ledger or DaySum(), files or DaySum()
    unit = unit_of(account, day)
    for name in _SUMS:
        left, right = (getattr(side, name) for side in sides)
        if left != right:
            yield Difference(
                Kind.TRADES,
                Problem.DIFFERS,
                unit,
                name,
                Side(LEDGER, str(left)),
                Side(f"trades/{account}/{day.year}.csv", str(right)),
                unit,
                account,
            )


def _describe(trade: Trade | None) -> str | None:
    if trade is None:
        return None
    return f"{trade.order_type} {trade.volume} @ {trade.price:.3f} {trade.traded_at:%H:%M:%S}"


def _to_trade(values: dict[str, Any]) -> Trade:
    values["order_type"] = OrderType(values["order_type"])
    values["price_type"] = PriceType(values["price_type"])
    return Trade(**values)
