from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _
from rich.cells import cell_len

from storage_app.backup.importing import Source, as_document, import_data
from storage_app.backup.scope import Scope
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.services.actors import command


class Command(FamilyCommand):
    help = (
        "Bring in what `export_data --to files` wrote, and verify it. What stands is never "
        "replaced: a row that contradicts it is rejected."
    )
    without = {"resume": "running it again adds what is missing"}

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="what export_data wrote")

    def work(self, options: Options, watch: Watch) -> Outcome:
        done = import_data(
            Source(
                options.own["directory"],
                settings.DATA_DIR,
                Scope(options.account, options.since, options.until),
                command("import_data"),
                batch_rows=options.batch_size or 10_000,
                dry_run=options.dry_run,
                watch=watch,
            )
        )
        names = (_("read"), _("new"), _("same"), _("rejected"))
        # A Chinese character is two columns wide.
        lines = [" " * 14 + "".join(" " * (12 - cell_len(name)) + name for name in names)]
        lines += [
            f"{one.kind:<14}{one.read:>12,}{one.new:>12,}{one.same:>12,}{one.rejected:>12,}"
            for one in done
        ]
        note = _("Dry run: nothing was written.") if options.dry_run else _("verified")
        complaints = [line for one in done for line in one.complaints]
        text = "\n".join([*lines, note])
        return Outcome(as_document(done), text, complaints)
