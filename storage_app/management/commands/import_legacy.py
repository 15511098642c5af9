from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils import translation
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from storage_app.contract.arguments import parse_account
from storage_app.contract.errors import InvalidInput, StorageError, Unavailable
from storage_app.contract.types import Adjust, Broker, Environment
from storage_app.imports.accounts import WantedAccount, ensure_account
from storage_app.imports.pipeline import ImportOptions, count_files, run_import
from storage_app.imports.rejects import RejectsFolder
from storage_app.imports.report import render_table
from storage_app.imports.results import ImportResult, total
from storage_app.legacy.directory import LegacyDirectory, explore
from storage_app.legacy.text import LegacyFileError, describe
from storage_app.services.actors import Actor, command
from storage_app.stores.compose import open_platform_store
from storage_app.stores.condition import wait_until_well
from trades_app.market import clock

DIFFERENCES, USAGE, BACKEND_DOWN = 1, 2, 3
_SHOWN_REJECTS = 20
_PLAIN_STEP = 500
# Seconds for servers that have just been started; without one the import gets as far as it can.
_PATIENCE = 3.0


class Command(BaseCommand):
    help = (
        "Import a SilverQuant directory: trading days, positions, orders, net values and daily "
        "bars. Running it again adds nothing. Exit status: 0 done, 1 rows or files were "
        "rejected, 2 wrong use, 3 a server is down."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="SilverQuant's _cache directory")
        parser.add_argument("--account", required=True, help="account number to fill")
        parser.add_argument("--create-account", action="store_true", help="open it if missing")
        parser.add_argument("--environment", choices=[*Environment])
        parser.add_argument("--broker", choices=[*Broker])
        parser.add_argument(
            "--capital", type=_amount, help="initial capital; default: first value of assets.csv"
        )
        parser.add_argument("--name", help="name of a new account; default: its number")
        parser.add_argument(
            "--adjust", choices=[*Adjust], default="none", help="how the bars are adjusted"
        )
        parser.add_argument(
            "--tz", type=_zone, default="Asia/Shanghai", help="time zone of deal_hist.csv"
        )
        parser.add_argument(
            "--replace-positions",
            action="store_true",
            help="make the books equal to the files, whatever trading has done since",
        )
        parser.add_argument("--demo", action="store_true", help="mark a new account as a demo")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Programs read JSON: it does not change with the language.
            with translation.override("en") if options["json"] else nullcontext():
                self._import(options)
        except (Unavailable, DatabaseError) as exc:
            reason = str(exc).partition("\n")[0]
            raise CommandError(
                f"{reason}; what is in stays, run the import again", returncode=BACKEND_DOWN
            ) from exc
        except InvalidInput as exc:
            raise CommandError(str(exc), returncode=USAGE) from exc
        except (LegacyFileError, StorageError) as exc:
            raise CommandError(str(exc), returncode=DIFFERENCES) from exc

    def _import(self, options: dict[str, Any]) -> None:
        parse_account(options["account"])
        actor = command("import_legacy")
        directory = explore(options["directory"])
        wanted = _wanted_account(options)
        account = ensure_account(wanted, directory.books, actor, dry_run=options["dry_run"])
        if not options["json"]:
            self.stdout.write(account)
        folder = RejectsFolder(_rejects_path(), directory.root)
        results: list[ImportResult] = []
        try:
            for result in self._run(directory, actor, options, folder):
                results.append(result)
        finally:
            # Also when a server dies half-way: the rows so far are stored.
            self._print(account, directory, results, options)
        self._conclude(results, folder, dry_run=options["dry_run"])

    def _run(
        self,
        directory: LegacyDirectory,
        actor: Actor,
        options: dict[str, Any],
        folder: RejectsFolder,
    ) -> Iterator[ImportResult]:
        store = open_platform_store()
        try:
            wait_until_well(store, _PATIENCE)
            results = run_import(directory, store, actor, _import_options(options))
            for result in self._watched(results, count_files(directory), options):
                if not options["dry_run"]:
                    folder.write(result)
                yield result
        finally:
            store.close()

    def _watched(
        self, results: Iterable[ImportResult], files: int, options: dict[str, Any]
    ) -> Iterator[ImportResult]:
        """Pass results on, showing how far the import is."""
        if options["json"] or not self.stdout.isatty():
            for number, result in enumerate(results, start=1):
                yield result
                if number % _PLAIN_STEP == 0 and not options["json"]:
                    counts = {"number": number, "files": files}
                    self.stdout.write(_("%(number)d of %(files)d files") % counts)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(file=sys.stderr)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task("", total=files)
            for result in results:
                bar.update(task, advance=1, description=result.kind)
                yield result

    def _print(
        self,
        account: str,
        directory: LegacyDirectory,
        results: list[ImportResult],
        options: dict[str, Any],
    ) -> None:
        if options["json"]:
            self._print_json(account, directory, results)
        elif results:
            self._print_table(directory, results, dry_run=options["dry_run"])

    def _print_table(
        self, directory: LegacyDirectory, results: list[ImportResult], *, dry_run: bool
    ) -> None:
        self.stdout.write(render_table(directory.root, results))
        if directory.unused:
            names = ", ".join(directory.unused)
            self.stdout.write(_("Not imported: %(names)s") % {"names": names})
        if dry_run:
            self.stdout.write(_("Dry run: nothing was written."))

    def _print_json(
        self, account: str, directory: LegacyDirectory, results: list[ImportResult]
    ) -> None:
        content = {
            "account": account,
            "directory": str(directory.root),
            "files": [result.as_json() for result in results],
            "total": total(results),
            "unused": directory.unused,
        }
        self.stdout.write(json.dumps(content, ensure_ascii=False, indent=2))

    def _conclude(
        self, results: list[ImportResult], folder: RejectsFolder, *, dry_run: bool
    ) -> None:
        """Name what stayed out, one line each, and end with status 1 if anything did."""
        lines = [line for result in results for line in _complaints(result)]
        for line in lines[:_SHOWN_REJECTS]:
            self.stderr.write(line)
        if not lines:
            return
        sums = total(results)
        text = _("rejected: %(rejected)d rows, %(refused)d files") % sums
        if sums["rejected"] and not dry_run:
            text += "; " + _("the rows are in %(folder)s") % {"folder": folder.path}
        raise CommandError(text, returncode=DIFFERENCES)


def _complaints(result: ImportResult) -> Iterator[str]:
    if result.refused:
        yield result.refused
    for row in result.rejects:
        yield describe(result.path, row)


def _wanted_account(options: dict[str, Any]) -> WantedAccount:
    return WantedAccount(
        account_id=options["account"],
        may_create=options["create_account"],
        name=options["name"],
        broker=options["broker"],
        environment=options["environment"],
        capital=options["capital"],
        is_demo=options["demo"],
    )


def _import_options(options: dict[str, Any]) -> ImportOptions:
    return ImportOptions(
        account_id=options["account"],
        calendar_path=settings.DATA_DIR / "calendar.csv",
        adjust=Adjust(options["adjust"]),
        zone=options["tz"],
        dry_run=options["dry_run"],
        replace_positions=options["replace_positions"],
    )


def _rejects_path() -> Path:
    return Path(settings.DATA_DIR) / "rejects" / f"{clock.now():%Y%m%d-%H%M%S}"


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise ArgumentTypeError(f"{text!r} is not an amount") from exc


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ArgumentTypeError(f"{name!r} is not a time zone") from exc
