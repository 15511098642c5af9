from __future__ import annotations

from argparse import ArgumentParser

from django.utils.translation import gettext as _

from storage_app.contract.types import Adjust
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.models import Report
from storage_app.services.actors import command
from storage_app.verify import bar_quality, wording
from storage_app.verify.bar_quality import BATCH_BARS, BarScope
from trades_app.bar_checks import Severity


class Command(FamilyCommand):
    help = (
        "Check the daily bars in ClickHouse: gaps against the calendar, prices and volumes that "
        "cannot be, jumps without a corporate action, bars that stand twice. Exit status: 0 "
        "neither errors nor warnings, 1 some, 2 wrong use, 3 ClickHouse is down."
    )
    without = {
        "dry_run": "nothing is ever written but the report",
        "resume": "it starts anew each time",
        "account": "bars belong to no account",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("codes", nargs="*", metavar="CODE", help="such as 600000.SH; none: all")
        parser.add_argument("--adjust", action="append", choices=[*Adjust], help="which series")

    def work(self, options: Options, watch: Watch) -> Outcome:
        scope = BarScope(
            options.own["codes"],
            options.own["adjust"] or (),
            options.since,
            options.until,
            options.batch_size or BATCH_BARS,
        )
        return _outcome(bar_quality.run(command("check_klines"), scope, watch))


def _outcome(report: Report) -> Outcome:
    summary = report.summary
    faults = [one for one in report.findings if one["severity"] != Severity.INFO]
    remarks = [one for one in report.findings if one["severity"] == Severity.INFO]
    counts = {severity.value: summary["severities"].get(severity.value, 0) for severity in Severity}
    text = _("%(codes)d codes and %(bars)d bars checked") % summary
    return Outcome(
        {"report": report.pk, "clean": report.is_clean, **summary, "findings": report.findings},
        "\n".join([text, *map(wording.describe_fault, remarks[:20])]),
        complaints=[wording.describe_fault(one) for one in faults],
        summary=_("%(error)d errors, %(warning)d warnings; report %(number)d")
        % {**counts, "number": report.pk},
    )
