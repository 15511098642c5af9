from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from storage_app.backup.exporting import FILES, FORMATS, export
from storage_app.backup.scope import Scope
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome


class Command(FamilyCommand):
    help = (
        "Write everything as files. `--to files`: a directory that file mode takes as DATA_DIR, "
        "with a `_cache` directory of SilverQuant for each account below silverquant/. "
        "`--to csv` and `--to json`: a table per file, for other programs."
    )
    without = {"batch_size": "rows are read in batches of their own"}

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="a new or empty directory")
        parser.add_argument("--to", choices=FORMATS, default=FILES, help="form of the export")

    def work(self, options: Options, watch: Watch) -> Outcome:
        done = export(
            options.own["directory"],
            settings.DATA_DIR,
            options.own["to"],
            Scope(options.account, options.since, options.until),
            resume=options.resume,
            dry_run=options.dry_run,
            watch=watch,
        )
        lines = [f"{kind:<12}{rows:>14,}" for kind, rows in done.counts.items()]
        if done.is_dry_run:
            lines.append(_("That would be exported; nothing was written."))
        else:
            lines.append(_("exported to %(path)s") % {"path": done.path})
        return Outcome(done.as_json(), "\n".join(lines))
