"""Take over what a strategy left in its files, when its book on the platform is still blank."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from storage_app.contract.positions import with_extreme
from storage_app.contract.types import PositionState
from storage_app.legacy import holdings
from storage_app.silverquant import registry
from storage_app.silverquant.registry import Binding

logger = logging.getLogger(__name__)

_adopting = threading.Lock()


def adopt(binding: Binding) -> None:
    """Fill a blank book from the files beside the bound one, once per process and book.

    A damaged file is refused with LegacyFileError, since empty would mean 'no positions'. The
    files stay as they are.
    """
    if binding.book in registry.adopted:
        return
    with _adopting:
        _fill_if_blank(binding.book, binding.path.parent)
        registry.adopted.add(binding.book)


def _fill_if_blank(book: str, directory: Path) -> None:
    store = registry.store()
    path = _first(directory, holdings.HOLDING_NAMES)
    state = store.read_book(book)
    if path is None or state.positions or state.increment_date:
        return
    held = holdings.read_holdings(path)
    for one in held.rejected:
        logger.error("%s: %s is not taken over: %s", path, one.column, one.reason)
    positions = {
        code: PositionState(code, days) for code, days in held.days.items() if days is not None
    }
    _add_extremes(positions, directory)
    if positions or held.increment_date:
        store.replace_positions(book, positions, held.increment_date)
        logger.info("Book %s takes over %d positions from %s", book, len(positions), path)


def _add_extremes(positions: dict[str, PositionState], directory: Path) -> None:
    highest = _prices(directory, holdings.MAX_PRICE_NAMES)
    lowest = _prices(directory, holdings.MIN_PRICE_NAMES)
    for code, state in positions.items():
        positions[code] = with_extreme(
            code, state, max_price=highest.get(code), min_price=lowest.get(code)
        )


def _prices(directory: Path, names: tuple[str, ...]) -> dict[str, float]:
    path = _first(directory, names)
    if path is None:
        return {}
    read = holdings.read_extremes(path)
    for one in read.rejected:
        logger.error("%s: %s is not taken over: %s", path, one.column, one.reason)
    return {code: float(price) for code, price in read.prices.items()}


def _first(directory: Path, names: tuple[str, ...]) -> Path | None:
    return next((directory / name for name in names if (directory / name).is_file()), None)
