"""One trade, one line of a CSV file that SilverQuant's tools and a spreadsheet can read.

The first eight columns are those of SilverQuant's `deal_hist.csv`; what a machine reads back
exactly follows, the uid last, so that a line that was cut off can be told from a whole one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

from storage_app.contract.types import OrderType, PriceType, Trade
from trades_app.ledger import ASSUMED
from trades_app.market import clock

COLUMNS = (
    "日期",
    "时间",
    "代码",
    "名称",
    "类型",
    "注释",
    "成交价",
    "成交量",
    "order_type",
    "price_type",
    "strategy_name",
    "order_id",
    "trade_id",
    "source",
    "trade_uid",
)
DATE, TIME, CODE, NAME, LABEL, REMARK, PRICE, VOLUME = range(8)
WIDTH = len(COLUMNS)
ORDER_TYPE, PRICE_TYPE, STRATEGY, ORDER_ID, TRADE_ID, SOURCE, UID = range(8, 15)
HEADER = (",".join(COLUMNS) + "\r\n").encode("utf-8-sig")
MILLI_PER_YUAN = 1000
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000
# All year since 1992, when summer time ended.
_SHANGHAI_MS = 8 * 3_600_000

# What a person reads under 类型; the machine reads order_type.
_LABELS = {
    OrderType.BUY_ORDER: "买入委托",
    OrderType.SELL_ORDER: "卖出委托",
    OrderType.BUY_TRADE: "买入成交",
    OrderType.SELL_TRADE: "卖出成交",
    OrderType.CANCEL: "撤单",
}
_KINDS = frozenset(OrderType)
_PRICE_KINDS = frozenset(PriceType)
# A trade is one line, so line ends inside a text are spelt out.
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_TO_ESCAPE = re.compile(r"[\\\n\r]")
_ESCAPED = re.compile(r"\\([\\nr])")
_PLAIN = {"\\": "\\", "n": "\n", "r": "\r"}

Row = Sequence[str]
in_time: Any = itemgetter(DATE, TIME, UID)


def encode(trades: Iterable[Trade]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(_to_row(trade) for trade in trades)
    return text.getvalue().encode()


def parse_rows(lines: bytes) -> Iterator[list[str]]:
    """Yield the fields of whole lines; ValueError when they are not CSV in UTF-8."""
    try:
        yield from csv.reader(io.StringIO(lines.decode(), newline=""))
    except csv.Error as exc:
        raise ValueError(str(exc)) from exc


def uid_of(line: bytes) -> str:
    """Return the last field of a line, which is all that an index needs."""
    return line.rstrip(b"\r\n").rsplit(b",", 1)[-1].decode(errors="replace")


def to_trade(account_id: str, row: Row) -> Trade:
    return Trade(
        trade_uid=row[UID],
        account_id=account_id,
        traded_at=_timestamp(row),
        trade_date=date.fromisoformat(row[DATE]),
        code=row[CODE],
        name=unescape(row[NAME]),
        order_type=OrderType(row[ORDER_TYPE]),
        price=Decimal(ticks_of(row)) / MILLI_PER_YUAN,
        volume=int(row[VOLUME]),
        strategy_name=unescape(row[STRATEGY]),
        remark=unescape(row[REMARK]),
        price_type=PriceType(row[PRICE_TYPE]),
        order_id=unescape(row[ORDER_ID]),
        trade_id=unescape(row[TRADE_ID]),
        source=unescape(row[SOURCE]),
    )


def to_dict(account_id: str, row: Row) -> dict[str, Any]:
    """Return the row as `query_trades` shows it."""
    ticks, volume = ticks_of(row), int(row[VOLUME])
    if row[ORDER_TYPE] not in _KINDS or row[PRICE_TYPE] not in _PRICE_KINDS:
        raise ValueError(f"unknown kind {row[ORDER_TYPE]!r} or {row[PRICE_TYPE]!r}")
    return {
        "trade_uid": row[UID],
        "account_id": account_id,
        "timestamp": _timestamp(row),
        "trade_date": date.fromisoformat(row[DATE]),
        "code": row[CODE],
        "name": unescape(row[NAME]),
        "order_type": row[ORDER_TYPE],
        "price": ticks / MILLI_PER_YUAN,
        "volume": volume,
        "strategy_name": unescape(row[STRATEGY]),
        "remark": unescape(row[REMARK]),
        "price_type": row[PRICE_TYPE],
        "order_id": unescape(row[ORDER_ID]),
        "trade_id": unescape(row[TRADE_ID]),
        "source": unescape(row[SOURCE]),
        "amount": ticks * volume / MILLI_PER_YUAN,
    }


def ticks_of(row: Row) -> int:
    """Return the price in ticks of 0.001 yuan; exact, since a price has at most 9 digits."""
    return round(float(row[PRICE]) * MILLI_PER_YUAN)


def numbers_of(row: Row) -> tuple[int, int, int, int, int]:
    """Return day and milliseconds since 1970, 1 for a buy, price in ticks, volume."""
    day = _day_number(row[DATE])
    clock_time = row[TIME]
    seconds = int(clock_time[:2]) * 3600 + int(clock_time[3:5]) * 60 + int(clock_time[6:8])
    return (
        day,
        day * _DAY_MS + seconds * 1000 + int(clock_time[9:12]) - _SHANGHAI_MS,
        int(row[ORDER_TYPE] == "buy_trade"),
        ticks_of(row),
        int(row[VOLUME]),
    )


def order_of(row: Row) -> tuple[str, str, str]:
    """Return what fills of one order share; a fill without its order stands alone."""
    return row[DATE], row[ORDER_TYPE], row[ORDER_ID] or row[UID]


def is_assumed(row: Row) -> bool:
    """Tell a fill that was assumed from its order."""
    return row[SOURCE] == ASSUMED


def _to_row(trade: Trade) -> list[str]:
    return [
        f"{trade.trade_date}",
        f"{trade.traded_at:%H:%M:%S}.{trade.traded_at.microsecond // 1000:03d}",
        trade.code,
        escape(trade.name),
        _LABELS[trade.order_type],
        escape(trade.remark),
        f"{trade.price:.3f}",
        f"{trade.volume}",
        trade.order_type.value,
        trade.price_type.value,
        escape(trade.strategy_name),
        escape(trade.order_id),
        escape(trade.trade_id),
        escape(trade.source),
        trade.trade_uid,
    ]


@lru_cache(maxsize=16384)
def _day_number(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH).days


def _timestamp(row: Row) -> datetime:
    return datetime.fromisoformat(f"{row[DATE]}T{row[TIME]}").replace(tzinfo=clock.SHANGHAI)


def escape(text: str) -> str:
    return _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], text)


def unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _PLAIN[found[1]], text) if "\\" in text else text
