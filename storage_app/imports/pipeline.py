"""Everything a SilverQuant directory holds, read and stored step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from storage_app.contract.roles import DataStore
from storage_app.contract.types import Adjust
from storage_app.imports.bars import BarImport
from storage_app.imports.net_values import KIND as NET_VALUES
from storage_app.imports.net_values import import_net_values
from storage_app.imports.positions import import_positions
from storage_app.imports.results import ImportResult, refusal
from storage_app.imports.trades import KIND as ORDERS
from storage_app.imports.trades import import_trades
from storage_app.imports.trading_days import KIND as TRADING_DAYS
from storage_app.imports.trading_days import import_trading_days
from storage_app.legacy.directory import BookFolder, LegacyDirectory
from storage_app.legacy.text import LegacyFileError
from storage_app.services.actors import Actor
from trades_app.market import clock


@dataclass(frozen=True, slots=True)
class ImportOptions:
    account_id: str
    calendar_path: Path
    adjust: Adjust = Adjust.NONE
    zone: ZoneInfo = clock.SHANGHAI
    dry_run: bool = False
    replace_positions: bool = False


def run_import(
    directory: LegacyDirectory, store: DataStore, actor: Actor, options: ImportOptions
) -> Iterator[ImportResult]:
    """Yield the result of each file as it is done; a refused file does not stop the others.

    Trading days come first, since positions, orders and bars are judged by them. Unavailable
    passes through: what is done stays done, and running again adds what is missing.
    """
    for error in directory.refused:
        yield refusal(error.path, "folder", error)
    for path in directory.calendars:
        step = partial(import_trading_days, path, options.calendar_path, dry_run=options.dry_run)
        yield _guarded(path, TRADING_DAYS, step)
    for folder in directory.books:
        yield from _import_book(folder, store, actor, options)
    bars = BarImport(store, options.adjust, dry_run=options.dry_run)
    for bar_folder in directory.bars:
        yield from bars.import_folder(bar_folder)


def count_files(directory: LegacyDirectory) -> int:
    """Return how many results `run_import` will yield."""
    books = sum(len(folder.files) for folder in directory.books)
    bars = sum(len(folder.files) for folder in directory.bars)
    return len(directory.refused) + len(directory.calendars) + books + bars


def _import_book(
    folder: BookFolder, store: DataStore, actor: Actor, options: ImportOptions
) -> Iterator[ImportResult]:
    account, dry_run = options.account_id, options.dry_run
    book = f"{account}/{folder.namespace}" if folder.namespace else account
    yield from import_positions(
        store, folder, book, dry_run=dry_run, replace_book=options.replace_positions
    )
    if orders := folder.orders:
        step = partial(
            import_trades,
            store,
            orders,
            account,
            folder.namespace,
            options.zone,
            dry_run=dry_run,
        )
        yield _guarded(orders, ORDERS, step)
    if assets := folder.assets:
        yield _import_assets(assets, folder, actor, options)


def _import_assets(
    path: Path, folder: BookFolder, actor: Actor, options: ImportOptions
) -> ImportResult:
    if folder.namespace:
        note = _("left out: net values of %(folder)s are not those of the account")
        note %= {"folder": folder.path.name}
        return ImportResult(path, NET_VALUES, note=note)
    step = partial(import_net_values, path, options.account_id, actor, dry_run=options.dry_run)
    return _guarded(path, NET_VALUES, step)


def _guarded(path: Path, kind: str, step: Callable[[], ImportResult]) -> ImportResult:
    try:
        return step()
    except LegacyFileError as exc:
        return refusal(path, kind, exc)
