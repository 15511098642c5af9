from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from storage_app.backup.restoring import SECTIONS, restore
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.services.actors import command

_WHOLE = "a backup is restored whole, or by --only"


class Command(FamilyCommand):
    help = (
        "Bring a backup into empty databases and verify what stands then. Stop worker, web and "
        "trading programs first. What a run that died has begun, the next run completes."
    )
    without = {
        "resume": "a restore that was stopped is completed by itself",
        "account": _WHOLE,
        "since": _WHOLE,
        "until": _WHOLE,
        "batch_size": "rows are written as they were read",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="a directory below DATA_DIR/backups")
        parser.add_argument(
            "--replace", action="store_true", help="put the backup in place of what stands there"
        )
        parser.add_argument(
            "--only", action="append", choices=list(SECTIONS), default=[], help="a section of it"
        )

    def work(self, options: Options, watch: Watch) -> Outcome:
        done = restore(
            options.own["directory"],
            settings.DATA_DIR,
            command("restore"),
            replace=options.own["replace"],
            only=options.own["only"],
            dry_run=options.dry_run,
            watch=watch,
        )
        lines = [f"{kind:<12}{rows:>14,}" for kind, rows in done.counts.items()]
        if options.dry_run:
            lines.append(_("The backup is whole and would be restored; nothing was written."))
        else:
            lines.append(_("restored from %(path)s and verified") % {"path": done.path})
        return Outcome(done.as_json(), "\n".join(lines))
