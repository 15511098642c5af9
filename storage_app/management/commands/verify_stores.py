from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from storage_app.contract.errors import Unavailable
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.models import Report
from storage_app.services.actors import command
from storage_app.verify import comparing, wording
from storage_app.verify.differences import Kind
from storage_app.verify.scope import Scope


class Command(FamilyCommand):
    help = (
        "Compare the stores with each other, field by field, and keep a report; nothing is "
        "changed. Exit status: 0 they agree, 1 they differ, 2 wrong use, 3 a server is down."
    )
    without = {
        "dry_run": "nothing is ever written but the report",
        "resume": "it starts anew each time",
        "batch_size": "nothing is written",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only", action="append", choices=[*Kind], metavar="KIND", help=", ".join(Kind)
        )

    def work(self, options: Options, watch: Watch) -> Outcome:
        kinds = frozenset(map(Kind, options.own["only"] or Kind))
        accounts = frozenset({options.account}) if options.account else None
        scope = Scope(accounts, options.since, options.until, kinds)
        report = comparing.run(command("verify_stores"), scope, watch)
        outcome = _outcome(report)
        unavailable = report.summary["unavailable"]
        if unavailable:
            self.show(outcome)
            raise Unavailable(", ".join(unavailable), "; ".join(unavailable.values()))
        return outcome


def _outcome(report: Report) -> Outcome:
    summary = report.summary
    total = sum(summary["differences"].values())
    document = {"report": report.pk, "clean": report.is_clean, **summary}
    text = ngettext("%(count)d difference", "%(count)d differences", total) % {"count": total}
    return Outcome(
        {**document, "findings": report.findings},
        "\n".join(_lines(report)),
        complaints=[wording.describe(one) for one in report.findings],
        summary=_("%(total)s; report %(number)d") % {"total": text, "number": report.pk},
    )


def _lines(report: Report) -> Iterator[str]:
    summary: dict[str, Any] = report.summary
    for kind in summary["scope"]["kinds"]:
        count = summary["differences"].get(kind, 0)
        state = _("not compared") if kind in summary["unavailable"] else str(count)
        yield f"{wording.kind_label(kind)}: {state}"
    compared = (f"{count:,} {_(name)}" for name, count in summary["compared"].items())
    yield _("Compared: %(things)s") % {"things": ", ".join(compared)}
    yield from wording.notes(summary["notes"])
