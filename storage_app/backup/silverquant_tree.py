"""An export as SilverQuant's own `_cache` directory, one for each account.

    silverquant/55009728/prod_pwc/positions.json      {"_inc_date": …, code: {"day_count": 3}}
                                  max_price.json  min_price.json  deal_hist.csv  assets.csv
    silverquant/55009728/test_pwc/…                   the book 55009728/test
    silverquant/55009728/_daily_akshare/kline/CODE.csv   raw prices, volumes in shares
    silverquant/55009728/_api_akshare/_open_day_list_sina.csv

Bars are named after akshare, the one source whose volumes SilverQuant keeps in shares (since
4.1). `deal_hist.csv` is in GB18030, as the programs of the house read it on Chinese Windows; it
has no place for numbers of fills, for milliseconds and for cancels, which are in `trades/`.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _

from storage_app.backup import scope as scopes
from storage_app.backup.scope import Scope
from storage_app.contract.types import (
    BookState,
    OrderType,
    PositionFlag,
    PositionState,
    PriceType,
    Trade,
)
from storage_app.contract.watching import Watch
from storage_app.legacy.directory import ASSETS_NAME, CALENDAR_NAME, MAIN_BOOK, ORDER_NAMES
from storage_app.legacy.orders import COLUMNS, KINDS
from storage_app.stores.file.documents import (
    Document,
    atomic_write_bytes,
    dump_document,
    make_directory,
)
from trades_app.bar_frames import RAW
from trades_app.market import calendar

DIRECTORY: Final = "silverquant"
BARS: Final = Path("_daily_akshare") / "kline"
ENCODING: Final = "gb18030"
# Fills that an import assumed of orders: whoever imports the orders again may do so again.
ASSUMED: Final = "assumed"
_LABELS: Final = {kind: label for label, kind in reversed(KINDS.items())}


def write(root: Path, scope: Scope, watch: Watch) -> int:
    """Write a `_cache` for each account from the servers and the tree of files at `root`."""
    accounts = scopes.account_ids(scope)
    states = {book: copy.state for book, copy in scopes.books(scope)}
    for number, account_id in enumerate(accounts, start=1):
        cache = root / DIRECTORY / account_id
        own = _by_namespace(states, account_id)
        for namespace, state in own.items():
            _write_book(cache / _folder(namespace), state)
        _write_orders(cache, scope, account_id, set(own))
        _write_assets(cache, scope, account_id)
        _copy_bars(root / "klines" / RAW, cache / BARS)
        _write_calendar(root / "calendar.csv", cache)
        watch.step(_("SilverQuant's directories"), number, len(accounts))
    return len(accounts)


def label_of(order_type: OrderType, price_type: PriceType) -> str:
    """Return what stands under 类型."""
    exact = _LABELS.get((order_type, price_type))
    return exact or _LABELS[order_type, PriceType.UNKNOWN]


def _by_namespace(states: dict[str, BookState], account_id: str) -> dict[str, BookState]:
    found = {}
    for book, state in states.items():
        number, _slash, namespace = book.partition("/")
        if number == account_id:
            found[namespace] = state
    return found


def _folder(namespace: str) -> str:
    return f"{namespace}_pwc" if namespace else MAIN_BOOK


def _write_book(folder: Path, state: BookState) -> None:
    held: Document = {}
    if state.increment_date is not None:
        held["_inc_date"] = state.increment_date.isoformat()
    positions = state.positions
    # A price without a holding is in the price files alone.
    held |= {
        code: {"day_count": one.held_days} for code, one in positions.items() if _is_holding(one)
    }
    highest = {code: one.max_price for code, one in positions.items() if one.max_price is not None}
    lowest = {code: one.min_price for code, one in positions.items() if one.min_price is not None}
    files = {"positions.json": held, "max_price.json": highest, "min_price.json": lowest}
    make_directory(folder)
    for name, document in files.items():
        atomic_write_bytes(folder / name, dump_document(document))


def _is_holding(state: PositionState) -> bool:
    return state.flag is not PositionFlag.LEFTOVER


def _write_orders(cache: Path, scope: Scope, account_id: str, namespaces: set[str]) -> None:
    """Write each row to the folder of its book: a namespace came in as the strategy's name."""
    streams: dict[str, io.TextIOWrapper] = {}
    try:
        for month in scopes.trades(scope, account_id):
            for trade in month:
                own = trade.strategy_name if trade.strategy_name in namespaces else ""
                if trade.order_type is OrderType.CANCEL or trade.source == ASSUMED:
                    continue
                if own not in streams:
                    streams[own] = _open_orders(cache / _folder(own))
                csv.writer(streams[own], lineterminator="\r\n").writerow(_order_row(trade))
    finally:
        for stream in streams.values():
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()


def _open_orders(folder: Path) -> io.TextIOWrapper:
    make_directory(folder)
    path = folder / ORDER_NAMES[0]
    stream: io.TextIOWrapper = path.open("w", encoding=ENCODING, newline="")
    csv.writer(stream, lineterminator="\r\n").writerow(COLUMNS)
    return stream


def _order_row(trade: Trade) -> list[str]:
    return [
        f"{trade.trade_date}",
        f"{trade.traded_at:%H:%M:%S}",
        trade.code,
        trade.name,
        label_of(trade.order_type, trade.price_type),
        trade.remark,
        f"{trade.price.normalize():f}",
        f"{trade.volume}",
    ]


def _write_assets(cache: Path, scope: Scope, account_id: str) -> None:
    rows = [f"{one.trade_date},{one.total_assets}" for one in scopes.snapshots(scope, account_id)]
    if rows:
        _write_text(cache / MAIN_BOOK / ASSETS_NAME, ["date,asset", *rows])


def _write_calendar(source: Path, cache: Path) -> None:
    if source.exists():
        days = calendar.read_days(source)
        lines = [f",{calendar.COLUMN}", *(f"{n},{day}" for n, day in enumerate(days))]
        _write_text(cache / "_api_akshare" / CALENDAR_NAME, lines)


def _write_text(path: Path, lines: Iterable[str]) -> None:
    make_directory(path.parent)
    atomic_write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _copy_bars(source: Path, folder: Path) -> None:
    """Copy, not link: SilverQuant writes its files in place, which would change both."""
    for path in sorted(source.glob("*.csv")):
        make_directory(folder)
        shutil.copyfile(path, folder / path.name)
