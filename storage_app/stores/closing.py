"""Capital of each account at the close: known cash plus open positions at their last close.

Nothing is guessed. An account stays out, with the reason, when its trading program recorded the
day itself, when fills have come since its cash was last told, when the volume of a position is
unknown, or when a price is. A code without a bar of today counts at its last close only while
others have bars of today, which is what a suspended one (停牌) looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from storage_app.contract.roles import DataStore
from storage_app.contract.types import MAX_BATCH_CODES, OrderType, PositionFlag, PositionState
from storage_app.models import Account, AccountSnapshot, AccountStatus
from storage_app.services import capital
from storage_app.services.actors import Actor
from storage_app.stores.orm import translating as relational
from trades_app.market import clock
from trades_app.queries import bars

_CENT: Final = Decimal("0.01")
_FILLS: Final = frozenset({OrderType.BUY_TRADE.value, OrderType.SELL_TRADE.value})

# What may be known later on the same day.
_PENDING: Final = "pending"


class Unknown(Exception):
    """A figure that nobody told; `is_pending` if it may still come today."""

    def __init__(self, reason: str, *, is_pending: bool = False) -> None:
        self.is_pending = is_pending
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Closing:
    """What became of one account; money as text."""

    account_id: str
    status: str
    reason: str = ""
    cash: str = ""
    position_value: str = ""
    total_assets: str = ""

    @property
    def is_pending(self) -> bool:
        return self.status == _PENDING

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


def record_close(store: DataStore, actor: Actor) -> list[Closing]:
    """Write today's snapshot of each active account that is no demo."""
    day = clock.today()
    with relational():
        accounts = list(Account.objects.filter(status=AccountStatus.ACTIVE, is_demo=False))
    return [_close(store, actor, account, day) for account in accounts]


def _close(store: DataStore, actor: Actor, account: Account, day: date) -> Closing:
    number = account.account_id
    try:
        with relational():
            cash = _cash(store, account, day)
        value = _value(store, number, day)
    except Unknown as exc:
        return Closing(number, _PENDING if exc.is_pending else "skipped", str(exc))
    total = cash + value
    with relational():
        capital.record_close(actor, number, capital.DayCapital(day, total, cash, value))
    return Closing(number, "recorded", "", str(cash), str(value), str(total))


def _cash(store: DataStore, account: Account, day: date) -> Decimal:
    recorded = AccountSnapshot.objects.filter(account=account, trade_date=day).first()
    if recorded and recorded.source == capital.TRADER:
        at = clock.in_shanghai(recorded.recorded_at)
        raise Unknown(f"its trading program recorded the day at {at:%H:%M}")
    if account.current_capital is None or account.capital_at is None:
        raise Unknown("its cash was never told")
    told = clock.in_shanghai(account.capital_at)
    fills = _fills_since(store, account.account_id, told)
    if fills:
        raise Unknown(f"its cash is of {told:%Y-%m-%d %H:%M}, and {fills} fills came since")
    return account.current_capital


def _fills_since(store: DataStore, account_id: str, moment: datetime) -> int:
    rows = store.iter_trades(account_id, moment.date())
    return sum(row["order_type"] in _FILLS and row["timestamp"] > moment for row in rows)


def _value(store: DataStore, account_id: str, day: date) -> Decimal:
    own = [book for book in store.list_books() if book.partition("/")[0] == account_id]
    if not own:
        raise Unknown("it has no book of positions")
    held: dict[str, int] = {}
    for book in own:
        for code, state in store.get_positions(book).items():
            held[code] = held.get(code, 0) + _volume(book, state)
    held = {code: volume for code, volume in held.items() if volume}
    prices = _last_closes(store, sorted(held), day)
    value = sum((prices[code] * volume for code, volume in held.items()), Decimal(0))
    return value.quantize(_CENT, ROUND_HALF_UP)


def _volume(book: str, state: PositionState) -> int:
    if state.flag is PositionFlag.LEFTOVER:
        return 0
    if state.flag is not PositionFlag.CLEAR:
        raise Unknown(f"{state.code} in book {book} is {state.flag.value}")
    if state.volume is None:
        raise Unknown(f"the volume of {state.code} in book {book} is unknown")
    return state.volume


def _last_closes(store: DataStore, codes: Sequence[str], day: date) -> dict[str, Decimal]:
    if not codes:
        return {}
    span = bars.read_span()
    if span is None or span[1] < day:
        newest = "none" if span is None else f"{span[1]}"
        raise Unknown(f"there are no bars of {day} yet, the newest is {newest}", is_pending=True)
    closes: dict[str, Decimal] = {}
    for start in range(0, len(codes), MAX_BATCH_CODES):
        part = codes[start : start + MAX_BATCH_CODES]
        for code, frame in store.batch_get_kline(part, end_date=day, days=1).items():
            if frame.empty:
                raise Unknown(f"{code} has no bar")
            closes[code] = Decimal(str(frame["close"].iloc[-1]))
    return closes
