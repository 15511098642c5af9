"""Everything a SilverQuant directory holds, read and stored step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from storage_app.contract.roles import DataStore
from storage_app.imports.bars import BarImport
from storage_app.imports.cursor import Cursor
from storage_app.imports.net_values import KIND as NET_VALUES
from storage_app.imports.net_values import import_net_values
from storage_app.imports.options import ImportOptions
from storage_app.imports.positions import import_positions
from storage_app.imports.results import ImportResult, refusal
from storage_app.imports.trades import KIND as ORDERS
from storage_app.imports.trades import import_trades
from storage_app.imports.trading_days import KIND as TRADING_DAYS
from storage_app.imports.trading_days import import_trading_days
from storage_app.legacy.directory import BookFolder, LegacyDirectory
from storage_app.legacy.text import LegacyFileError
from storage_app.services.actors import Actor

FOLDER = gettext_noop("folder")


def run_import(
    directory: LegacyDirectory,
    store: DataStore,
    actor: Actor,
    options: ImportOptions,
    cursor: Cursor | None = None,
) -> Iterator[ImportResult]:
    """Yield the result of each file as it is done; a refused file does not stop the others.

    Trading days come first, since positions, orders and bars are judged by them. Unavailable
    and Cancelled pass through: what is done stays done, and running again adds what is missing.
    With a cursor, files that the stopped run had finished are not read again. Each result is
    written to `options.rejects` before it is yielded.
    """
    run = _Run(store, actor, options, cursor)
    total = directory.count - sum(len(folder.files) for folder in directory.bars)
    for done, result in enumerate(run.files(directory), start=1):
        if options.rejects:
            options.rejects.write(result)
        yield result
        if done <= total:
            options.watch.step(_("files"), done, total, _("files"))


class _Run:
    """One import: where it writes to, on whose behalf, and what is done already."""

    def __init__(
        self, store: DataStore, actor: Actor, options: ImportOptions, cursor: Cursor | None
    ) -> None:
        self._store = store
        self._actor = actor
        self._options = options
        self._cursor = cursor

    def files(self, directory: LegacyDirectory) -> Iterator[ImportResult]:
        for error in directory.refused:
            yield refusal(error.path, FOLDER, error)
        target, dry_run = self._options.calendar_path, self._options.dry_run
        for path in directory.calendars:
            step = partial(import_trading_days, path, target, dry_run=dry_run)
            yield self._guarded(path, TRADING_DAYS, step)
        for folder in directory.books:
            yield from self._book(folder)
        bars = BarImport(self._store, self._options, self._cursor)
        for bar_folder in directory.bars:
            yield from bars.import_folder(bar_folder)

    def _book(self, folder: BookFolder) -> Iterator[ImportResult]:
        # Read again each time: a resumed run must not miss what a book has become since.
        yield from import_positions(self._store, folder, self._options)
        for path in folder.orders:
            step = partial(import_trades, self._store, path, folder.namespace, self._options)
            yield self._once(path, ORDERS, step)
        if assets := folder.assets:
            yield self._net_values(assets, folder)

    def _net_values(self, path: Path, folder: BookFolder) -> ImportResult:
        if folder.namespace:
            note = _("left out: net values of %(folder)s are not those of the account")
            note %= {"folder": folder.path.name}
            return ImportResult(path, NET_VALUES, note=note)
        step = partial(import_net_values, path, self._actor, self._options)
        return self._guarded(path, NET_VALUES, step)

    def _once(self, path: Path, kind: str, step: Callable[[], ImportResult]) -> ImportResult:
        """Do a long step unless the stopped run has done it."""
        known = self._cursor.find(path) if self._cursor is not None else None
        if known:
            return known
        result = self._guarded(path, kind, step)
        if self._cursor is not None and not self._options.dry_run:
            self._cursor.finish([result])
        return result

    @staticmethod
    def _guarded(path: Path, kind: str, step: Callable[[], ImportResult]) -> ImportResult:
        try:
            return step()
        except LegacyFileError as exc:
            return refusal(path, kind, exc)
