"""Capital of accounts, day by day. Snapshots are their own record, so they leave no audit entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from django.db import transaction

from storage_app.contract import rules
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import Money
from storage_app.models import Account, AccountSnapshot, AuditAction
from storage_app.services import access, accounts, audit
from storage_app.services.actors import Actor
from storage_app.services.signals import announce
from trades_app.market import clock

TRADER = "trader"
MARKET_CLOSE = time(15)
_FIGURES = ("total_assets", "current_capital", "position_value")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class DayCapital:
    """What a source says of one day; figures it does not have are None."""

    trade_date: date
    total_assets: Money
    current_capital: Money | None = None
    position_value: Money | None = None

    def parsed(self) -> rules.Capital:
        cash, positions = self.current_capital, self.position_value
        return rules.Capital(
            rules.parse_balance(self.total_assets, "total assets"),
            None if cash is None else rules.parse_balance(cash, "current capital"),
            None if positions is None else rules.parse_balance(positions, "position value"),
        )


@dataclass(frozen=True, slots=True)
class SnapshotCount:
    """What an import did: new + same + superseded = rows read.

    `superseded` rows are not kept: a later row tells of the same day, or the trading program
    recorded that day itself.
    """

    new: int = 0
    same: int = 0
    superseded: int = 0


def update_capital(
    actor: Actor,
    account_id: str,
    current_capital: Money,
    total_assets: Money,
    position_value: Money,
    at: datetime | None = None,
) -> None:
    """Set the capital as of `at` (now if None) and the snapshot of that trading day.

    What is older than what stands there is passed over, so a late replay does no harm.
    """
    access.require(actor.user, "storage_app.execute_trade")
    access.require_account(actor.user, account_id)
    capital = rules.parse_totals(current_capital, total_assets, position_value)
    rules.warn_unequal_totals(account_id, capital)
    moment = at or clock.now()
    with transaction.atomic():
        account = accounts.lock(account_id)
        _set_capital(account, capital, moment)
        _set_snapshot(account, capital, moment)
        announce(accounts.BOOK, account_id)


def _set_capital(account: Account, capital: rules.Capital, moment: datetime) -> None:
    if account.capital_at and account.capital_at > moment:
        return
    account.total_assets = capital.total_assets
    account.current_capital = capital.current_capital
    account.position_value = capital.position_value
    account.capital_at = moment
    account.save()


def _set_snapshot(account: Account, capital: rules.Capital, moment: datetime) -> None:
    day = rules.capital_day(moment)
    snapshot = AccountSnapshot.objects.filter(account=account, trade_date=day).first()
    if snapshot is None:
        snapshot = AccountSnapshot(account=account, trade_date=day)
    elif snapshot.source == TRADER and snapshot.recorded_at > moment:
        return
    _fill(snapshot, capital)
    snapshot.source = TRADER
    snapshot.recorded_at = moment
    snapshot.save()


def record_close(actor: Actor, account_id: str, day: DayCapital) -> None:
    """Set what was computed at the close of a day, in place of what is not the program's own.

    Like what a program reports, it leaves no audit entry: the snapshot is the record.
    """
    access.require(actor.user, "storage_app.execute_trade")
    with transaction.atomic():
        account = accounts.lock(account_id)
        _write_snapshots(account, {day.trade_date: day.parsed()}, "close")
        announce(accounts.BOOK, account_id)


def import_snapshots(
    actor: Actor, account_id: str, rows: Iterable[DayCapital], source: str = "import"
) -> SnapshotCount:
    """Add net values of past days; the last row of a day counts. Again, it adds nothing."""
    access.require(actor.user, "storage_app.change_account")
    access.require_account(actor.user, account_id)
    if source == TRADER:
        raise InvalidInput(f"source {source!r} is kept for what a trading program records")
    read = list(rows)
    latest = {row.trade_date: row.parsed() for row in read}
    with transaction.atomic():
        account = accounts.lock(account_id)
        count = _write_snapshots(account, latest, source)
        if count.new:
            _adopt_latest(account)
            after = {"source": source, "snapshots": count.new}
            audit.record(actor, AuditAction.IMPORT, account, after=after)
            announce(accounts.BOOK, account_id)
    superseded = count.superseded + len(read) - len(latest)
    return SnapshotCount(new=count.new, same=count.same, superseded=superseded)


def _write_snapshots(
    account: Account, latest: dict[date, rules.Capital], source: str
) -> SnapshotCount:
    stored = {snapshot.trade_date: snapshot for snapshot in account.snapshots.all()}
    same = superseded = 0
    added, changed = [], []
    for day, capital in latest.items():
        snapshot = stored.get(day)
        if snapshot is None:
            added.append(AccountSnapshot(account=account, trade_date=day))
        elif _capital_of(snapshot) == capital:
            same += 1
        elif snapshot.source == TRADER:
            superseded += 1
        else:
            changed.append(snapshot)
    for snapshot in added + changed:
        _fill(snapshot, latest[snapshot.trade_date])
        snapshot.source = source
        snapshot.recorded_at = clock.now()
    AccountSnapshot.objects.bulk_create(added, batch_size=_BATCH)
    AccountSnapshot.objects.bulk_update(
        changed, [*_FIGURES, "source", "recorded_at"], batch_size=_BATCH
    )
    return SnapshotCount(new=len(added) + len(changed), same=same, superseded=superseded)


def _adopt_latest(account: Account) -> None:
    """Show the newest snapshot as the capital of the account, unless a program reported later."""
    snapshot = account.snapshots.order_by("-trade_date").first()
    if snapshot is None or snapshot.source == TRADER:
        return
    closing = datetime.combine(snapshot.trade_date, MARKET_CLOSE, clock.SHANGHAI)
    _set_capital(account, _capital_of(snapshot), closing)


def _capital_of(snapshot: AccountSnapshot) -> rules.Capital:
    return rules.Capital(*(getattr(snapshot, name) for name in _FIGURES))


def _fill(snapshot: AccountSnapshot, capital: rules.Capital) -> None:
    for name in _FIGURES:
        setattr(snapshot, name, getattr(capital, name))
