"""What the commands that import files have in common: where from, how to tell, what was rejected.

Each of them names the `parts` it imports. The work itself is `imports.pipeline.run_import`.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.utils.translation import gettext as _

from storage_app.contract.types import Adjust
from storage_app.contract.watching import Watch
from storage_app.imports.cursor import Cursor, job_of
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.imports.rejects import RejectsFolder
from storage_app.imports.report import render_table
from storage_app.imports.results import ImportResult, total
from storage_app.legacy.directory import LegacyDirectory, Part, explore, single
from storage_app.legacy.text import describe
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.services import accounts
from storage_app.services.actors import Actor, command
from storage_app.stores.compose import open_platform_store
from storage_app.stores.condition import wait_until_well
from trades_app.market import clock

# Seconds for servers that have just been started; without one the import gets as far as it can.
_PATIENCE = 3.0


@dataclass(slots=True)
class Tally:
    """What is done so far, for a report that an error must not take away.

    `said` are lines above the table, by the name they have in JSON.
    """

    root: Path
    results: list[ImportResult] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    unused: Sequence[str] = ()
    rejects: RejectsFolder | None = None
    dry_run: bool = False

    def outcome(self) -> Outcome:
        return Outcome(self._document(), self._text(), self._complaints(), self._summary())

    def _document(self) -> dict[str, Any]:
        return {
            **self.said,
            "directory": str(self.root),
            "files": [result.as_json() for result in self.results],
            "total": total(self.results),
            "unused": list(self.unused),
        }

    def _text(self) -> str:
        lines = list(self.said.values())
        if self.results:
            lines.append(render_table(self.root, self.results))
        if self.unused:
            lines.append(_("Not imported: %(names)s") % {"names": ", ".join(self.unused)})
        if self.dry_run:
            lines.append(_("Dry run: nothing was written."))
        return "\n".join(lines)

    def _complaints(self) -> list[str]:
        return [line for result in self.results for line in _complaints(result)]

    def _summary(self) -> str:
        sums = total(self.results)
        text = _("rejected: %(rejected)d rows, %(refused)d files") % sums
        if sums["rejected"] and self.rejects and not self.dry_run:
            text += "; "
            text += _("correct the rows in %(folder)s and import that folder") % {
                "folder": self.rejects.path
            }
        return text


def _complaints(result: ImportResult) -> Iterator[str]:
    if result.refused:
        yield result.refused
    for row in result.rejects:
        yield describe(result.path, row)


class ImportCommand(FamilyCommand):
    """A command that imports some parts of a directory, or one file of them."""

    parts: ClassVar[Collection[Part]] = tuple(Part)
    # What the argument is called in the help.
    place: ClassVar[str] = "SilverQuant's _cache directory, or one file"

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help=self.place)

    def prepare(self, directory: LegacyDirectory, options: Options, actor: Actor) -> dict[str, str]:
        """Do what must come before the files; return what is to be said of it."""
        if options.account and "account" not in self.without:
            accounts.get(options.account)
        return {}

    def work(self, options: Options, watch: Watch) -> Outcome:
        directory = self.find(options.own["path"])
        actor = command(type(self).__module__.rpartition(".")[2])
        tally = Tally(directory.layout_root, unused=directory.unused, dry_run=options.dry_run)
        tally.said = self.prepare(directory, options, actor)
        tally.rejects = new_rejects(directory.layout_root)
        try:
            for result in self._run(directory, actor, options, watch, tally):
                tally.results.append(result)
        except BaseException:
            # A server has died half-way, or somebody has cancelled: the rows so far are stored.
            self.show(tally.outcome())
            raise
        return tally.outcome()

    def find(self, path: Path) -> LegacyDirectory:
        if path.is_file() and len(self.parts) == 1:
            (part,) = self.parts
            return single(path, part)
        found = explore(path)
        return found if set(self.parts) == set(Part) else found.only(self.parts)

    def _run(
        self,
        directory: LegacyDirectory,
        actor: Actor,
        options: Options,
        watch: Watch,
        tally: Tally,
    ) -> Iterator[ImportResult]:
        chosen = _import_options(options, watch, tally)
        cursor = None
        if not options.dry_run:
            job = job_of(directory.root, self.parts, chosen)
            cursor = Cursor(settings.DATA_DIR, job, resume=options.resume)
        store = open_platform_store()
        try:
            wait_until_well(store, _PATIENCE)
            yield from run_import(directory, store, actor, chosen, cursor)
        finally:
            store.close()
        if cursor is not None:
            cursor.remove()


def _import_options(options: Options, watch: Watch, tally: Tally) -> ImportOptions:
    own = options.own
    return ImportOptions(
        account_id=options.account or "",
        calendar_path=settings.DATA_DIR / "calendar.csv",
        adjust=Adjust(own.get("adjust", Adjust.NONE)),
        zone=own.get("tz", clock.SHANGHAI),
        dry_run=options.dry_run,
        replace_positions=own.get("replace_positions", False),
        assume_filled=own.get("assume_filled", False),
        since=options.since,
        until=options.until,
        batch_size=options.batch_size,
        rejects=None if options.dry_run else tally.rejects,
        watch=watch,
    )


def new_rejects(root: Path) -> RejectsFolder:
    stamp = f"{clock.now():%Y%m%d-%H%M%S}"
    folder = Path(settings.DATA_DIR) / "rejects" / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{stamp}-{number}")
    return RejectsFolder(folder, root)


def add_zone(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--tz",
        type=_zone,
        default=clock.SHANGHAI,
        metavar="ZONE",
        help="time zone of the machine that wrote the orders; default: Asia/Shanghai",
    )


def add_assume_filled(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--assume-filled",
        action="store_true",
        help="add a fill to each order, marked as assumed: profit is then an estimate",
    )


def add_adjust(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--adjust", choices=[*Adjust], default="none", help="how the bars are adjusted"
    )


def add_replace_positions(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--replace-positions",
        action="store_true",
        help="make the books equal to the files, whatever trading has done since",
    )


def amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise ArgumentTypeError(f"{text!r} is not an amount") from exc


def _zone(name: str) -> ZoneInfo:
    if name == clock.SHANGHAI.key:
        return clock.SHANGHAI
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ArgumentTypeError(f"{name!r} is not a time zone") from exc
