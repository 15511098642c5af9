"""What the commands that move and compare data have in common.

A command of the family subclasses `FamilyCommand`, adds its own arguments in `add_own_arguments`
and does its work in `work(options, watch)`, which returns an `Outcome`:

    class Command(FamilyCommand):
        help = "Compare the stores with each other."
        without = {"resume": "it starts anew each time"}

        def add_own_arguments(self, parser):
            parser.add_argument("--quick", action="store_true")

        def work(self, options, watch):
            report = verify(options.account, options.since, quick=options.own["quick"], watch=watch)
            return Outcome(report.as_json(), report.as_text(), complaints=report.lines())

Every one of them understands `--dry-run --resume --account --since --until --batch-size --json`;
`without` names those that mean nothing here, which are accepted with a remark, so that a script
may call all commands alike. Logic never stands in a command: it is a function that takes a
`Watch` (see `storage_app.contract.watching`), which a scheduled job calls as well.

Exit status: 0 done; 1 differences, rejects, refused files, or cancelled by Ctrl-C between two
batches; 2 wrong use (InvalidInput); 3 a server is down (Unavailable, DatabaseError). A command
that fails half-way and has something to show calls `self.show(outcome)` before it lets the error
pass. With `--json` stdout holds one JSON document in English and nothing else.
"""

from __future__ import annotations

import json
import signal
import threading
from abc import abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from types import FrameType
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from storage_app.contract.arguments import parse_account
from storage_app.contract.errors import InvalidInput, StorageError, Unavailable
from storage_app.contract.watching import Cancelled, Watch
from storage_app.legacy.text import LegacyFileError
from storage_app.management.progress_bar import showing
from trades_app.market import clock

DIFFERENCES, USAGE, BACKEND_DOWN = 1, 2, 3
SHOWN_COMPLAINTS = 20

_HELP = {
    "dry_run": "say what would be done and write nothing",
    "resume": "go on where a run that was stopped left off",
    "account": "account number",
    "since": "first trading date, YYYY-MM-DD",
    "until": "last trading date, inclusive",
    "batch_size": "rows to write at once",
    "json": "print the result as JSON, for programs",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the family; `own` has those of the command, by the name argparse gives."""

    dry_run: bool = False
    resume: bool = False
    account: str | None = None
    since: date | None = None
    until: date | None = None
    batch_size: int | None = None
    as_json: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has to say.

    `document` is what `--json` prints and `text` what a person reads. `complaints` are one line
    each: file, line, column, value and reason, or place and both values; any of them makes the
    exit status 1, and `summary` is then the last line.
    """

    document: Mapping[str, Any]
    text: str
    complaints: Sequence[str] = ()
    summary: str = ""


class FamilyCommand(BaseCommand):
    # Options that mean nothing to this command, and why, e.g. {"resume": "it starts anew"}.
    without: ClassVar[Mapping[str, str]] = {}
    needs_account: ClassVar[bool] = False

    @abstractmethod
    def work(self, options: Options, watch: Watch) -> Outcome:
        """Do what the command is for."""

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add what only this command understands."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_own_arguments(parser)
        for name in ("dry_run", "resume", "json"):
            parser.add_argument(_flag(name), action="store_true", help=self._explain(name))
        parser.add_argument("--account", required=self.needs_account, help=self._explain("account"))
        for name in ("since", "until"):
            parser.add_argument(_flag(name), type=_day, metavar="DATE", help=self._explain(name))
        parser.add_argument(
            "--batch-size", type=_rows, metavar="ROWS", help=self._explain("batch_size")
        )

    def handle(self, *args: Any, **given: Any) -> None:
        # Programs read JSON: it does not change with the language.
        with translation.override("en") if given["json"] else nullcontext(), _ending_well():
            options = _options(given)
            self._remark(given)
            is_terminal = not options.as_json and self.stderr.isatty()
            with (
                _cancelling_on_interrupt(self) as is_cancelled,
                showing(self.stderr, is_terminal=is_terminal, quiet=options.as_json) as report,
            ):
                outcome = self.work(options, Watch(report, is_cancelled))
            self.show(outcome)
            self._conclude(outcome)

    def show(self, outcome: Outcome) -> None:
        """Print the result; also for what is done when an error is about to end the command."""
        if self._is_json:
            self.stdout.write(json.dumps(outcome.document, ensure_ascii=False, indent=2))
        elif outcome.text:
            self.stdout.write(outcome.text)

    _is_json = False

    def _remark(self, given: Mapping[str, Any]) -> None:
        self._is_json = bool(given["json"])
        for name, reason in self.without.items():
            if given[name] not in (None, False):
                self.stderr.write(
                    _("%(option)s has no effect here: %(reason)s")
                    % {"option": _flag(name), "reason": reason}
                )

    def _conclude(self, outcome: Outcome) -> None:
        """Name what is wrong, one line each, and end with status 1 if anything is."""
        if not outcome.complaints:
            return
        for line in outcome.complaints[:SHOWN_COMPLAINTS]:
            self.stderr.write(line)
        left = len(outcome.complaints) - SHOWN_COMPLAINTS
        if left > 0:
            text = ngettext("and %(count)d more", "and %(count)d more", left)
            self.stderr.write(text % {"count": left})
        raise CommandError(outcome.summary or str(outcome.complaints[0]), returncode=DIFFERENCES)

    def _explain(self, name: str) -> str:
        reason = self.without.get(name)
        return f"{_HELP[name]} (no effect here: {reason})" if reason else _HELP[name]


@contextmanager
def _ending_well() -> Iterator[None]:
    """Turn the errors that a person can act on into one line and the exit status."""
    try:
        yield
    except Cancelled as exc:
        text = _("stopped: %(reason)s; go on with --resume") % {"reason": exc}
        raise CommandError(text, returncode=DIFFERENCES) from exc
    except (Unavailable, DatabaseError) as exc:
        reason = str(exc).partition("\n")[0]
        text = _("%(reason)s; what is done stays done, run it again with --resume")
        raise CommandError(text % {"reason": reason}, returncode=BACKEND_DOWN) from exc
    except InvalidInput as exc:
        raise CommandError(str(exc), returncode=USAGE) from exc
    except (LegacyFileError, StorageError) as exc:
        raise CommandError(str(exc), returncode=DIFFERENCES) from exc


@contextmanager
def _cancelling_on_interrupt(command: BaseCommand) -> Iterator[Any]:
    """Let the first Ctrl-C end the job between two batches and the second one at once."""
    wish = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        wish.set()
        signal.signal(signal.SIGINT, before)
        command.stderr.write(_("Stopping after this batch; press Ctrl-C again to stop at once."))

    if threading.current_thread() is not threading.main_thread():
        yield wish.is_set
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield wish.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _options(given: Mapping[str, Any]) -> Options:
    if given["account"] is not None:
        parse_account(given["account"])
    since, until = given["since"], given["until"]
    if since and until and since > until:
        raise InvalidInput(f"--since {since} is after --until {until}")
    return Options(
        dry_run=given["dry_run"],
        resume=given["resume"],
        account=given["account"],
        since=since,
        until=until,
        batch_size=given["batch_size"],
        as_json=given["json"],
        own={name: value for name, value in given.items() if name not in _HELP},
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _day(text: str) -> date:
    try:
        return clock.parse_date(text)
    except clock.InvalidTime as exc:
        raise ArgumentTypeError(str(exc)) from exc


def _rows(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of rows from 1")
    return int(text)
