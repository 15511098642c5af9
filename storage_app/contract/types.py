"""Values that cross the contract; plain Python, no Django and no driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeAlias

Money: TypeAlias = Decimal | float | int | str

BAR_COLUMNS = ("datetime", "open", "high", "low", "close", "volume", "amount")
MAX_BATCH_CODES = 100
OPEN_POSITIONS_WARNING = 100


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """An order (委托) asks, a trade is a fill (成交); only fills move positions and profit."""

    BUY_ORDER = "buy_order"
    SELL_ORDER = "sell_order"
    BUY_TRADE = "buy_trade"
    SELL_TRADE = "sell_trade"
    CANCEL = "cancel"

    @property
    def is_fill(self) -> bool:
        return self in (OrderType.BUY_TRADE, OrderType.SELL_TRADE)


class PriceType(StrEnum):
    UNKNOWN = "unknown"
    LIMIT = "limit"
    MARKET = "market"


class Adjust(StrEnum):
    """复权: bars as traded, adjusted back from today (前复权) or forward from listing (后复权)."""

    NONE = "none"
    QFQ = "qfq"
    HFQ = "hfq"


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class PositionFlag(StrEnum):
    """Why a person should look at a position; empty when nobody has to."""

    CLEAR = ""
    UNCONFIRMED = "unconfirmed"  # a sell of an unknown volume: the broker must say what remains
    OVERSOLD = "oversold"  # more was sold than was held
    LEFTOVER = "leftover"  # a legacy price extreme without a holding


class AccountStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


class Environment(StrEnum):
    LIVE = "live"
    PAPER = "paper"


class Broker(StrEnum):
    QMT = "QMT"
    GM = "GM"
    TDX = "TDX"


class StrategyType(StrEnum):
    WENCAI = "wencai"
    REMOTE = "remote"
    TECHNICAL = "technical"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PositionState:
    """One code of one book.

    `held_days` counts trading days since the opening day, which is day 0; None means closed or
    unknown, and such an entry is never aged. Prices are yuan in steps of 0.001, as float because
    sellers compare them with ticks. `volume` is shares, None when a legacy file did not tell.
    """

    code: str
    held_days: int | None = None
    max_price: float | None = None
    min_price: float | None = None
    volume: int | None = None
    opened_on: date | None = None
    flag: PositionFlag = PositionFlag.CLEAR


@dataclass(frozen=True, slots=True)
class BookState:
    """A whole book: its positions and the trading date of its last held-day increment."""

    increment_date: date | None = None
    positions: Mapping[str, PositionState] = field(default_factory=dict)


class BookMarks(NamedTuple):
    """What tells copies of a book apart: `generation` changes when a server begins it anew,
    `revision` rises with each change. `lease` is the host that may change the book while the
    server is down, "" as long as nobody holds it."""

    generation: str = ""
    revision: int = 0
    lease: str = ""


NO_MARKS = BookMarks()


@dataclass(frozen=True, slots=True)
class BookCopy:
    """A book with all there is of it.

    `applied` is the day on which each fill and each increment was applied. `lineage` tells up to
    which revision the book contains earlier generations of itself. `whole` is the revision up to
    which every change is in the copy; a mirror may know later ones, with some missing in between.
    """

    state: BookState
    applied: Mapping[str, date] = field(default_factory=dict)
    marks: BookMarks = NO_MARKS
    lineage: Mapping[str, int] = field(default_factory=dict)
    whole: int = 0


@dataclass(frozen=True, slots=True)
class Trade:
    """One row of the ledger with its identity fixed; `traded_at` is aware, `volume` in shares."""

    trade_uid: str
    account_id: str
    traded_at: datetime
    trade_date: date
    code: str
    name: str
    order_type: OrderType
    price: Decimal
    volume: int
    strategy_name: str = ""
    remark: str = ""
    price_type: PriceType = PriceType.UNKNOWN
    order_id: str = ""
    trade_id: str = ""
    source: str = "trader"

    @property
    def amount(self) -> Decimal:
        return self.price * self.volume


@dataclass(frozen=True, slots=True)
class FillOutcome:
    """`position` is what is held after the fill, None when it closed or waits.

    `is_new` is False for a repeated callback; `is_applied` is False while an acknowledged fill
    waits for a server before it moves the position.
    """

    trade_uid: str
    position: PositionState | None
    is_new: bool = True
    is_applied: bool = True


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What a batch write did; rows that stood there already, equal in content, are `same`."""

    new: int = 0
    same: int = 0
