"""The ledger in files: `trades/ACCOUNT/YEAR.csv`, a line for each order, fill and cancel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from storage_app.contract.roles import TradeLedger
from storage_app.contract.types import OrderType, Trade, WriteCount
from storage_app.stores import trade_rows
from storage_app.stores.file import trade_lines
from storage_app.stores.file.documents import make_directory
from storage_app.stores.file.trade_files import TradeFile, lock_directory
from storage_app.stores.file.trade_lines import Row
from trades_app import ledger
from trades_app.market import clock

_FILLS = frozenset((OrderType.BUY_TRADE.value, OrderType.SELL_TRADE.value))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which lines; None means any, dates are inclusive."""

    start: date | None = None
    end: date | None = None
    code: str | None = None
    strategy_name: str | None = None

    def has_year(self, year: int) -> bool:
        return (self.start is None or self.start.year <= year) and (
            self.end is None or year <= self.end.year
        )

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """Return the wanted rows; they are compared as they are written."""
        first, last = f"{self.start or date.min}", f"{self.end or date.max}"
        fields = {trade_lines.CODE: self.code}
        if self.strategy_name is not None:
            fields[trade_lines.STRATEGY] = trade_lines.escape(self.strategy_name)
        chosen = [row for row in rows if first <= row[trade_lines.DATE] <= last]
        for place, value in fields.items():
            if value is not None:
                chosen = [row for row in chosen if row[place] == value]
        return chosen


class FileTrades(TradeLedger):
    """Safe for threads and processes; what a call has written is on the disk when it returns."""

    component: ClassVar[str] = "files"

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "trades"
        self._files: dict[Path, TradeFile] = {}

    def ping(self) -> None:
        make_directory(self._root)

    def close(self) -> None:
        self._files.clear()

    def write_trades(self, trades: Sequence[Trade]) -> WriteCount:
        wanted = [trade_rows.normalised(trade) for trade in trades]
        by_file: dict[Path, list[Trade]] = {}
        for trade in wanted:
            by_file.setdefault(self._path(trade), []).append(trade)
        with ExitStack() as locks:
            # In one order everywhere, so that two batches never wait for each other.
            for directory in sorted({path.parent for path in by_file}):
                locks.enter_context(lock_directory(directory))
            new = {path: self._select_new(path, part) for path, part in by_file.items()}
            for path, part in new.items():
                if part:
                    self._file(path).append(part)
        count = sum(len(part) for part in new.values())
        return WriteCount(new=count, same=len(wanted) - count)

    def query_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        wanted = _Wanted(_date(start_date), _date(end_date), code, strategy_name)
        found: list[dict[str, Any]] = []
        for file in reversed(self._years(account_id, wanted)):
            rows = wanted.select(file.read_rows())
            rows.sort(key=trade_lines.in_time, reverse=True)
            found.extend(file.parse(rows[: limit - len(found)], trade_lines.to_dict))
            if len(found) >= limit:
                break
        return found

    def iter_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield rows oldest first; memory holds the lines of one year at most."""
        wanted = _Wanted(_date(start_date), _date(end_date), code, strategy_name)
        for file in self._years(account_id, wanted):
            rows = wanted.select(file.read_rows())
            rows.sort(key=trade_lines.in_time)
            yield from file.parse(rows, trade_lines.to_dict)

    def read_since(self, account_id: str, day: date) -> Iterator[Trade]:
        """Yield the trades of a day and later as they were written, in the order of the lines."""
        wanted = _Wanted(day)
        for file in self._years(account_id, wanted):
            yield from file.parse(wanted.select(file.read_rows()), trade_lines.to_trade)

    def find_trade(self, trade: Trade) -> Trade | None:
        """Return what is recorded under the uid of a trade."""
        written = self.read_since(trade.account_id, trade.trade_date)
        return next((one for one in written if one.trade_uid == trade.trade_uid), None)

    def aggregate_trades(
        self,
        account_id: str | None,
        start_date: date | str,
        end_date: date | str,
        group_by: str = "month",
    ) -> list[dict[str, Any]]:
        start, end = clock.parse_date(start_date), clock.parse_date(end_date)
        # From the beginning, since an opening of any age is cost.
        wanted = _Wanted(end=end)
        accounts = self._accounts() if account_id is None else [account_id]
        files = [file for account in accounts for file in self._years(account, wanted)]
        return ledger.summarise(_read_fills(files, wanted), start, end, group_by)

    def _accounts(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def _path(self, trade: Trade) -> Path:
        return self._root / trade.account_id / f"{trade.trade_date.year}.csv"

    def _file(self, path: Path) -> TradeFile:
        return self._files.setdefault(path, TradeFile(path, path.parent.name))

    def _years(self, account_id: str, wanted: _Wanted) -> list[TradeFile]:
        """Return the files that may hold wanted lines, oldest first."""
        paths = sorted((self._root / account_id).glob("[12][0-9][0-9][0-9].csv"))
        return [self._file(path) for path in paths if wanted.has_year(int(path.stem))]

    def _select_new(self, path: Path, trades: list[Trade]) -> list[Trade]:
        stored = self._file(path).find(trade.trade_uid for trade in trades)
        return trade_rows.select_new(trades, stored)


def _read_fills(files: Iterable[TradeFile], wanted: _Wanted) -> ledger.Fills:
    groups: dict[tuple[str, str], int] = {}
    orders: dict[tuple[str, ...], int] = {}
    columns: list[tuple[int, ...]] = []

    def parse(account_id: str, row: Row) -> tuple[int, ...]:
        key = (account_id, row[trade_lines.CODE])
        group = groups.setdefault(key, len(groups))
        order = orders.setdefault((*key, *trade_lines.order_of(row)), len(orders))
        return (group, *trade_lines.numbers_of(row), order, trade_lines.is_assumed(row))

    for file in files:
        rows = wanted.select(file.read_rows())
        fills = [row for row in rows if row[trade_lines.ORDER_TYPE] in _FILLS]
        columns.extend(file.parse(fills, parse))
    table = np.array(columns, dtype=np.int64).reshape(-1, 8)
    group, day, at, is_buy, price, volume, order_key, assumed = np.ascontiguousarray(table.T)
    codes = [code for _, code in groups]
    flags = is_buy.astype(bool), assumed.astype(bool)
    return ledger.Fills(codes, group, day, at, flags[0], price, volume, order_key, flags[1])


def _date(value: date | str | None) -> date | None:
    return None if value is None else clock.parse_date(value)
