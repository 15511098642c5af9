from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from storage_app.contract.errors import InvalidInput, Unavailable
from storage_app.contract.watching import Watch
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.models import Report
from storage_app.services.actors import command
from storage_app.verify import repairing, wording
from storage_app.verify.differences import Kind
from storage_app.verify.repairing import Plan
from storage_app.verify.scope import Scope


class Command(FamilyCommand):
    help = (
        "Make the stores agree: look what differs, say what would be done (--dry-run), and do it, "
        "each step with an entry in the audit trail. Exit status: 0 all done or nothing to do, "
        "1 something is left, 2 wrong use, 3 a server is down."
    )
    without = {"resume": "it looks anew each time", "batch_size": "each step is one unit"}

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="", help="kept in the audit trail; required")
        parser.add_argument(
            "--only", action="append", choices=[*Kind], metavar="KIND", help=", ".join(Kind)
        )
        parser.add_argument(
            "--recompute-held-days",
            action="store_true",
            help="set the age of positions to what follows from their opening day",
        )

    def work(self, options: Options, watch: Watch) -> Outcome:
        actor, own = command("repair_stores"), options.own
        accounts = frozenset({options.account}) if options.account else None
        kinds = frozenset(map(Kind, own["only"] or Kind))
        scope = Scope(accounts, options.since, options.until, kinds)
        recompute = own["recompute_held_days"]
        if options.dry_run:
            plan = repairing.plan(actor, scope, watch, recompute_held_days=recompute)
            return self._checked(_planned(plan), plan.unavailable)
        if not own["reason"].strip():
            raise InvalidInput("--reason is required, since a repair is kept in the audit trail")
        report = repairing.repair(actor, own["reason"], scope, watch, recompute_held_days=recompute)
        return self._checked(_done(report), report.summary["unavailable"])

    def _checked(self, outcome: Outcome, unavailable: Any) -> Outcome:
        if unavailable:
            self.show(outcome)
            raise Unavailable(", ".join(unavailable), "; ".join(unavailable.values()))
        return outcome


def _planned(plan: Plan) -> Outcome:
    steps = [step.as_finding() for step in plan.steps]
    lines = [wording.describe_step(step) for step in steps]
    return Outcome(
        {"dry_run": True, "steps": steps, "unavailable": dict(plan.unavailable)},
        "" if lines else _("There is nothing to repair."),
        complaints=lines,
        summary=_("%(count)d steps would be done; %(by_hand)d need a person")
        % {"count": len(plan.doable), "by_hand": len(plan.steps) - len(plan.doable)},
    )


def _done(report: Report) -> Outcome:
    lines = [wording.describe_step(one) for one in report.findings if one["outcome"] == "done"]
    left = [wording.describe_step(one) for one in report.findings if one["outcome"] != "done"]
    return Outcome(
        {"report": report.pk, **report.summary, "steps": report.findings},
        "\n".join(lines) if report.findings else _("There is nothing to repair."),
        complaints=left,
        summary=_("%(done)d steps done, %(left)d left; report %(number)d")
        % {"done": len(lines), "left": len(left), "number": report.pk},
    )
