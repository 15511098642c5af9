"""`deal_hist.csv`: the orders (委托) that a strategy placed, filled or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Generic, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from django.utils.translation import ngettext

from storage_app.contract.types import OrderType, PriceType
from storage_app.legacy import fields
from storage_app.legacy.lines import Lines
from storage_app.legacy.text import (
    CUT,
    Rejected,
    Row,
    RowError,
    clean,
    note_skipped,
    parse_header,
    parse_line,
    reject_cut_row,
)
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


BATCH_ROWS = 10_000
# Spellings kept by each column; a file has a few thousand dates, codes and prices.
_MOST_SPELLINGS = 20_000

ValueT = TypeVar("ValueT")
Integers: TypeAlias = npt.NDArray[np.int64]


class LegacyOrder(NamedTuple):
    """One row; `ordinal` counts equal rows from 0, since two equal orders a second are real.

    `row` is what the file says in one spelling, the same however a spreadsheet re-wrote it;
    `written_on` is its date, without a zone, and `ordered_at` the moment it means.
    """

    line: int
    row: str
    written_on: date
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
        return f"{self.row}|{self.ordinal}"


@dataclass(slots=True)
class OrderBatch:
    """Some rows of a file; `odd_times` of the orders lie outside trading hours."""

    orders: list[LegacyOrder] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    skipped: int = 0
    odd_times: int = 0


@dataclass(frozen=True, slots=True)
class OrderFile:
    orders: list[LegacyOrder]
    rejected: list[Rejected]
    note: str = ""


def read_orders(path: Path, zone: ZoneInfo = clock.SHANGHAI) -> OrderFile:
    """Read a whole file; its times are those of the clock of the machine that wrote it (`zone`)."""
    batches = list(read_order_batches(path, zone))
    orders = [order for batch in batches for order in batch.orders]
    rejected = [row for batch in batches for row in batch.rejected]
    skipped = sum(batch.skipped for batch in batches)
    odd_times = sum(batch.odd_times for batch in batches)
    return OrderFile(orders, rejected, note_rows(skipped, odd_times))


def note_rows(skipped: int, odd_times: int) -> str:
    """Return what a person should know of the lines that are no rows and of odd times."""
    notes = (note_skipped(skipped), _note_odd_times(odd_times))
    return "; ".join(note for note in notes if note)


def read_order_batches(
    path: Path, zone: ZoneInfo = clock.SHANGHAI, rows: int = BATCH_ROWS
) -> Iterator[OrderBatch]:
    """Yield the file in batches of up to about so many rows, in memory for one of them.

    LegacyFileError before the first batch if the file cannot be read to its end.
    """
    lines = Lines(path)
    reader: _Reader | None = None
    batch = OrderBatch()
    ordinals = _Ordinals()
    number = 0
    for found in lines.batches():
        for raw in found:
            number += 1
            if reader is None:
                reader = _Reader(parse_header(path, raw, COLUMNS), zone)
                continue
            if len(batch.orders) + len(batch.rejected) >= rows:
                yield ordinals.number(batch)
                batch = OrderBatch()
            reader.read(number, raw, batch)
        if lines.is_cut and reader and found:
            reader.reread_as_cut(number, found[-1], batch)
    yield ordinals.number(batch)


class _Spellings(dict[str, ValueT], Generic[ValueT]):
    """Values by spelling, each parsed once; ValueError for one that is none."""

    def __init__(self, parse: Callable[[str], ValueT]) -> None:
        self._parse = parse

    def __missing__(self, text: str) -> ValueT:
        if len(self) >= _MOST_SPELLINGS:
            self.clear()
        value = self[text] = self._parse(text)
        return value


class _Reader:
    """Lines of one file as orders."""

    def __init__(self, header: list[str], zone: ZoneInfo) -> None:
        self._header = header
        self._zone = zone
        self._places = [header.index(name) for name in COLUMNS]
        self._days = _Spellings(fields.parse_day)
        self._times = _Spellings(fields.parse_time)
        self._codes = _Spellings(_parse_tradable)
        self._kinds = _Spellings(_parse_kind)
        self._prices = _Spellings(fields.parse_price)
        self._volumes = _Spellings(fields.parse_shares)
        self._open_days: dict[date, bool] = {}

    def read(self, number: int, raw: str, batch: OrderBatch) -> None:
        """Add a line to the batch, as an order, as a rejected row or as no row."""
        try:
            order = self._order(number, self._split(raw))
        except ValueError:
            self._read_closely(number, raw, batch)
            return
        batch.odd_times += not self._is_in_session(order.ordered_at)
        batch.orders.append(order)

    def reread_as_cut(self, number: int, raw: str, batch: OrderBatch) -> None:
        """Reject the line that was read last, since its end may be missing."""
        row = parse_line(number, raw, self._header)
        if isinstance(row, Row) and batch.orders and batch.orders[-1].line == number:
            batch.odd_times -= not self._is_in_session(batch.orders.pop().ordered_at)
            batch.rejected.append(reject_cut_row(row))

    def _split(self, raw: str) -> list[str]:
        """Return the fields of a line without any oddity; ValueError for another one."""
        parts = raw.split(",")
        if len(parts) != len(self._header) or '"' in raw or CUT in raw:
            raise ValueError("to be read closely")
        return [parts[place] for place in self._places]

    def _read_closely(self, number: int, raw: str, batch: OrderBatch) -> None:
        row = parse_line(number, raw, self._header)
        if row is None:
            batch.skipped += 1
        elif isinstance(row, Rejected):
            batch.rejected.append(row)
        else:
            try:
                order = self._order_of(row)
            except RowError as exc:
                batch.rejected.append(row.reject(exc.column, str(exc)))
                return
            batch.odd_times += not self._is_in_session(order.ordered_at)
            batch.orders.append(order)

    def _order_of(self, row: Row) -> LegacyOrder:
        for column, parse in _PARSERS.items():
            row.parse(column, parse)
        return self._order(row.line, [row.fields[column] for column in COLUMNS])

    def _order(self, line: int, values: list[str]) -> LegacyOrder:
        on, at, code, name, kind, remark, price, volume = values
        day, moment, code = self._days[on], self._times[at], self._codes[code]
        order_type, price_type = self._kinds[kind]
        name, remark = name.strip(), remark.strip()
        exact, shares = self._prices[price], self._volumes[volume]
        return LegacyOrder(
            line,
            f"{day}T{moment}|{code}|{name}|{order_type}|{price_type}|{remark}|{exact}|{shares}",
            day,
            self._moment(day, moment),
            code,
            name,
            order_type,
            price_type,
            remark,
            exact,
            shares,
        )

    def _moment(self, day: date, moment: time) -> datetime:
        if self._zone is clock.SHANGHAI:
            return datetime.combine(day, moment, clock.SHANGHAI)
        return datetime.combine(day, moment, self._zone).astimezone(clock.SHANGHAI)

    def _is_in_session(self, moment: datetime) -> bool:
        opened, closed = SESSION
        day = moment.date()
        if day not in self._open_days:
            self._open_days[day] = calendar.is_trading_day(day)
        return self._open_days[day] and opened <= moment.time() <= closed


class _Ordinals:
    """How often each row was met before, over all batches, in 8 bytes a row."""

    def __init__(self) -> None:
        self._seen = np.empty(0, dtype=np.int64)

    def number(self, batch: OrderBatch) -> OrderBatch:
        keys = np.array([hash(order.row) for order in batch.orders], dtype=np.int64)
        ordinals = self._met_before(keys) + _rank_among_equals(keys)
        for place in np.flatnonzero(ordinals):
            numbered = LegacyOrder(*batch.orders[place][:-1], ordinal=int(ordinals[place]))
            batch.orders[place] = numbered
        self._seen = np.sort(np.concatenate((self._seen, keys)), kind="stable")
        return batch

    def _met_before(self, keys: Integers) -> Integers:
        first = np.searchsorted(self._seen, keys, side="left")
        return np.searchsorted(self._seen, keys, side="right") - first


def _rank_among_equals(keys: Integers) -> Integers:
    """Return how many equal keys stand before each one."""
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    first = np.searchsorted(in_order, in_order, side="left")
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys)) - first
    return ranks


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


_PARSERS: dict[str, Callable[[str], object]] = {
    "日期": fields.parse_day,
    "时间": fields.parse_time,
    "类型": _parse_kind,
    "代码": _parse_tradable,
    "成交价": fields.parse_price,
    "成交量": fields.parse_shares,
}


def _note_odd_times(odd: int) -> str:
    if not odd:
        return ""
    return ngettext(
        "%(count)d row outside trading hours, is the time zone right?",
        "%(count)d rows outside trading hours, is the time zone right?",
        odd,
    ) % {"count": odd}
