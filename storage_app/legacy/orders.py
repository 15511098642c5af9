"""`deal_hist.csv`: the orders (委托) that a strategy placed, filled or not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils.translation import ngettext

from storage_app.contract.types import OrderType, PriceType
from storage_app.legacy import fields
from storage_app.legacy.text import Rejected, Row, RowError, clean, read_table
from trades_app.market import calendar, clock, codes

COLUMNS = ("日期", "时间", "代码", "名称", "类型", "注释", "成交价", "成交量")

# What is not listed is quarantined, never guessed. A bare `buy` is an order, as the file logs
# orders; 成交 rows come from strategies whose owner switched fill recording on.
KINDS = {
    "市买委托": (OrderType.BUY_ORDER, PriceType.MARKET),
    "限买委托": (OrderType.BUY_ORDER, PriceType.LIMIT),
    "市卖委托": (OrderType.SELL_ORDER, PriceType.MARKET),
    "限卖委托": (OrderType.SELL_ORDER, PriceType.LIMIT),
    "卖出委托": (OrderType.SELL_ORDER, PriceType.UNKNOWN),
    "买入成交": (OrderType.BUY_TRADE, PriceType.UNKNOWN),
    "卖出成交": (OrderType.SELL_TRADE, PriceType.UNKNOWN),
    "buy": (OrderType.BUY_ORDER, PriceType.UNKNOWN),
    "sell": (OrderType.SELL_ORDER, PriceType.UNKNOWN),
    "buy_order": (OrderType.BUY_ORDER, PriceType.UNKNOWN),
    "sell_order": (OrderType.SELL_ORDER, PriceType.UNKNOWN),
    "buy_trade": (OrderType.BUY_TRADE, PriceType.UNKNOWN),
    "sell_trade": (OrderType.SELL_TRADE, PriceType.UNKNOWN),
}
# From the call auction to the end of after-hours trading.
SESSION = (time(9, 15), time(15, 30))


@dataclass(frozen=True, slots=True)
class LegacyOrder:
    """One row; `ordinal` counts equal rows from 0, since two equal orders a second are real.

    `written_at` is what the file says, without a zone; `ordered_at` is the moment it means.
    """

    line: int
    written_at: datetime
    ordered_at: datetime
    code: str
    name: str
    order_type: OrderType
    price_type: PriceType
    remark: str
    price: Decimal
    volume: int
    ordinal: int = 0

    @property
    def content(self) -> str:
        """The row in one spelling, the same however a spreadsheet re-wrote the file."""
        parts = (
            self.written_at.isoformat(), self.code, self.name, self.order_type,
            self.price_type, self.remark, self.price, self.volume, self.ordinal,
        )  # fmt: skip
        return "|".join(str(part) for part in parts)


@dataclass(frozen=True, slots=True)
class OrderFile:
    orders: list[LegacyOrder]
    rejected: list[Rejected]
    note: str = ""


def read_orders(path: Path, zone: ZoneInfo = clock.SHANGHAI) -> OrderFile:
    """Read the file; its times are those of the clock of the machine that wrote it (`zone`)."""
    table = read_table(path, COLUMNS)
    rejected = list(table.rejected)
    orders: list[LegacyOrder] = []
    seen: Counter[str] = Counter()
    for row in table.rows:
        try:
            order = _parse(row, zone)
        except RowError as exc:
            rejected.append(row.reject(exc.column, str(exc)))
            continue
        orders.append(replace(order, ordinal=seen[order.content]))
        seen[order.content] += 1
    notes = (table.note, _note_odd_times(orders))
    return OrderFile(orders, rejected, "; ".join(note for note in notes if note))


def _parse(row: Row, zone: ZoneInfo) -> LegacyOrder:
    day, moment = row.parse("日期", fields.parse_day), row.parse("时间", fields.parse_time)
    order_type, price_type = row.parse("类型", _parse_kind)
    return LegacyOrder(
        line=row.line,
        written_at=datetime.combine(day, moment),
        ordered_at=datetime.combine(day, moment, zone).astimezone(clock.SHANGHAI),
        code=row.parse("代码", _parse_tradable),
        name=row.fields["名称"],
        order_type=order_type,
        price_type=price_type,
        remark=row.fields["注释"],
        price=row.parse("成交价", fields.parse_price),
        volume=row.parse("成交量", fields.parse_shares),
    )


def _parse_kind(text: str) -> tuple[OrderType, PriceType]:
    try:
        return KINDS[clean(text).lower()]
    except KeyError:
        raise ValueError("unknown kind of row") from None


def _parse_tradable(text: str) -> str:
    code = codes.parse_code(text)
    if codes.is_index(code):
        raise ValueError(f"{code} is an index, which nobody can order")
    return code


def _note_odd_times(orders: list[LegacyOrder]) -> str:
    odd = sum(not _in_session(order.ordered_at) for order in orders)
    if not odd:
        return ""
    return ngettext(
        "%(count)d row outside trading hours, is the time zone right?",
        "%(count)d rows outside trading hours, is the time zone right?",
        odd,
    ) % {"count": odd}


def _in_session(moment: datetime) -> bool:
    opened, closed = SESSION
    return opened <= moment.time() <= closed and calendar.is_trading_day(moment.date())
