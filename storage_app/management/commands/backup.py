from __future__ import annotations

from argparse import ArgumentParser

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from storage_app.backup.making import DIRECTORY, KEEP, back_up, list_backups
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.services.actors import command
from trades_app import copies

_WHOLE = "a backup is of everything there is"


class Command(FamilyCommand):
    help = (
        "Write everything into one directory below DATA_DIR/backups: accounts, strategies and "
        "people as JSON lines, trades and bars as Parquet, positions and the journal as JSON."
    )
    without = {
        "resume": "a backup that was stopped is none, and the next one starts anew",
        "account": _WHOLE,
        "since": _WHOLE,
        "until": _WHOLE,
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--keep", type=int, default=KEEP, metavar="N", help="how many backups to keep"
        )

    def work(self, options: Options, watch: Watch) -> Outcome:
        if options.dry_run:
            found = [str(path) for path in list_backups(settings.DATA_DIR)]
            where = {"path": settings.DATA_DIR / DIRECTORY, "count": len(found)}
            text = _("A backup would be written below %(path)s, where %(count)d stand.") % where
            return Outcome({"dry_run": True, "backups": found}, text)
        made = back_up(
            settings.DATA_DIR,
            command("backup"),
            keep=options.own["keep"],
            batch_rows=options.batch_size or copies.BATCH_ROWS,
            watch=watch,
        )
        lines = [f"{kind:<12}{rows:>14,}" for kind, rows in made.manifest.count().items()]
        size = filesizeformat(made.manifest.size)
        lines.append(_("%(path)s is whole, %(size)s") % {"path": made.path, "size": size})
        if made.removed:
            lines.append(_("removed: %(names)s") % {"names": ", ".join(made.removed)})
        return Outcome(made.as_json(), "\n".join(lines))
