"""The storage functions of `tools.utils_cache`, on a store instead of files.

Names, parameters and return values are SilverQuant's. A path that is bound works on its book;
any other path goes to the function that SilverQuant brought. What differs on purpose stands in
`docs/strategies.md`. A failure is an exception here, never False.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import BookState
from storage_app.legacy.orders import KINDS
from storage_app.silverquant import registry, views
from storage_app.silverquant.registry import Binding, Kind

logger = logging.getLogger(__name__)

Lock = AbstractContextManager[Any]
Quotes = Mapping[str, Mapping[str, Any]]
# 连续竞价, to the minute, both ends included.
_AUCTIONS: Final = (("09:30", "11:30"), ("13:00", "14:57"))

_in_files_only: ContextVar[bool] = ContextVar("orders in files only", default=False)
# Paths that people were told of.
_told: set[str] = set()
# What `tools.utils_cache` had before; filled when it is replaced.
originals: dict[str, Callable[..., Any]] = {}


def load_json(path: str) -> Any:
    binding = registry.find(path)
    if binding is None:
        return _original("load_json", path)(path)
    return views.load(binding)


def save_json(path: str, var: dict[str, Any], ensure_ascii: bool = True) -> None:
    binding = registry.find(path)
    if binding is None:
        _original("save_json", path)(path, var, ensure_ascii=ensure_ascii)
    else:
        views.save(binding, var)


def del_key(lock: Lock, path: str, key: str) -> None:
    binding = registry.find(path)
    if binding is None:
        _original("del_key", path)(lock, path, key)
        return
    with lock:
        views.forget(binding, [key])


def del_keys(lock: Lock, path: str, keys: Sequence[str]) -> None:
    binding = registry.find(path)
    if binding is None:
        _original("del_keys", path)(lock, path, keys)
        return
    with lock:
        views.forget(binding, list(keys))


def del_held_day(lock: Lock, path: str, key: str) -> bool:
    binding = registry.find(path)
    if binding is None:
        return bool(_original("del_held_day", path)(lock, path, key))
    with lock:
        views.sold(binding, key)
    return True


def new_held(held_operation_lock: Lock, path: str, codes: Sequence[str]) -> None:
    binding = registry.find(path)
    if binding is None:
        _original("new_held", path)(held_operation_lock, path, codes)
        return
    with held_operation_lock:
        views.bought(binding, list(codes))


def all_held_inc(lock: Lock, path: str) -> bool:
    """Age the book: True now, False before today or on a day without trading."""
    binding = registry.find(path)
    if binding is None:
        return bool(_original("all_held_inc", path)(lock, path))
    with lock:
        views.read_book(binding)  # which takes over the date of the last increment
        return registry.store().all_held_inc(binding.book)


def update_max_prices(
    lock: Lock,
    quotes: Quotes,
    positions: Iterable[Any],
    curr_time: str,
    path_max_prices: str,
    path_min_prices: str,
    path_held_info: str,
    ignore_open_day: bool = True,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Widen the extremes by a tick; return highest prices and holdings after it.

    One read of the book, and one write if a price is new.
    """
    held = registry.find(path_held_info)
    paths = (path_max_prices, path_min_prices)
    if held is None:
        original = _original("update_max_prices", path_held_info)
        highest, info = original(
            lock, quotes, positions, curr_time, *paths, path_held_info, ignore_open_day
        )
        return dict(highest), dict(info)
    _refuse_other_books(held, paths)
    book = views.read_book(held)
    highest = views.price_document(book, Kind.HIGHEST)
    if is_in_continuous_auction(curr_time):
        prices = _new_extremes(book, quotes, positions, ignore_open_day)
        if prices:
            registry.store().raise_extremes(held.book, prices)
            highest |= {code: round(high, 3) for code, (high, _) in prices.items()}
    return highest, views.held_document(held, book)


def record_deal(
    lock: Lock,
    path: str,
    timestamp: str,
    code: str,
    name: str,
    order_type: str,
    remark: str,
    price: float,
    volume: int,
) -> None:
    """Write an order into the ledger, and into the file that SilverQuant's reports read.

    A kind that nobody knows is not guessed: it goes into the file alone, and the log tells.
    """
    binding = registry.find(path)
    original = originals.get("record_deal")
    if original is not None:
        original(lock, path, timestamp, code, name, order_type, remark, price, volume)
    if binding is None:
        _original("record_deal", path)
        return
    if _in_files_only.get():
        return
    kind = KINDS.get(order_type.lower())
    if kind is None:
        logger.error("A row of kind %r stays in %s alone: %s %s", order_type, path, code, remark)
        return
    registry.store().record_trade(
        binding.account, timestamp, code, name, kind[0], remark, price, volume,
        binding.strategy_name, price_type=kind[1],
    )  # fmt: skip


@contextmanager
def orders_in_files_only() -> Iterator[None]:
    """Keep `record_deal` from the ledger, where the broker's own report of the order goes."""
    token = _in_files_only.set(True)
    try:
        yield
    finally:
        _in_files_only.reset(token)


def is_in_continuous_auction(curr_time: str) -> bool:
    """Tell whether `HH:MM` is within it; text compares as time does."""
    return any(first <= curr_time <= last for first, last in _AUCTIONS)


def _new_extremes(
    book: BookState, quotes: Quotes, positions: Iterable[Any], ignore_open_day: bool
) -> dict[str, tuple[float, float]]:
    """Return highs and lows of the codes that set a new one; written to be quick."""
    prices = {}
    for position in positions:
        code = position.stock_code
        state, quote = book.positions.get(code), quotes.get(code)
        if state is None or quote is None or state.held_days is None:
            continue
        if ignore_open_day and state.held_days <= 0:
            continue
        high, low, highest, lowest = quote["high"], quote["low"], state.max_price, state.min_price
        if highest is None or lowest is None or high > highest or low < lowest:
            prices[code] = (high if highest is None else max(high, highest), low)
    return prices


def _refuse_other_books(held: Binding, paths: Iterable[str]) -> None:
    for path in paths:
        other = registry.find(path)
        if other is None or other.book != held.book:
            raise InvalidInput(f"{path} must be bound to book {held.book}, as {held.path} is")


def _original(name: str, path: str) -> Callable[..., Any]:
    if os.path.basename(path) in registry.NAMES and path not in _told:  # noqa: PTH119
        _told.add(path)
        logger.warning("%s is bound to no book and stays a file; call bind(path, account)", path)
    try:
        return originals[name]
    except KeyError:
        raise InvalidInput(
            f"{path} is bound to no book and tools.utils_cache is not there to treat it as a file"
        ) from None
