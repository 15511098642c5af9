"""The command family: one set of options, one set of exit statuses, progress and cancelling."""

from __future__ import annotations

import json
import os
import signal
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from storage_app.contract.errors import Conflict, InvalidInput, Unavailable
from storage_app.contract.watching import Cancelled, Progress, Watch
from storage_app.legacy.text import LegacyFileError
from storage_app.management import progress_bar
from storage_app.management.family import FamilyCommand, Outcome

pytestmark = pytest.mark.usefixtures("english")


class Terminal(StringIO):
    def isatty(self):
        return True


def make(work, **attributes):
    return type("Command", (FamilyCommand,), {"work": work, **attributes})()


def run(command, *arguments, err=None):
    out, err = StringIO(), err or StringIO()
    status, last = 0, ""
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except CommandError as exc:
        status, last = exc.returncode, str(exc)
    return status, out.getvalue(), err.getvalue(), last


def test_all_options_reach_the_work():
    seen = []

    def work(self, options, watch):
        seen.append(options)
        return Outcome({}, "")

    run(
        make(work), "--dry-run", "--resume", "--account", "55009728", "--since", "2025-09-01",
        "--until", "20250930", "--batch-size", "500", "--json",
    )  # fmt: skip
    (options,) = seen
    assert (options.dry_run, options.resume, options.as_json) == (True, True, True)
    assert (options.account, options.batch_size) == ("55009728", 500)
    assert (options.since, options.until) == (date(2025, 9, 1), date(2025, 9, 30))


def test_own_arguments_stand_apart():
    def add(self, parser):
        parser.add_argument("--quick", action="store_true")

    def work(self, options, watch):
        return Outcome({}, str(options.own["quick"]))

    assert run(make(work, add_own_arguments=add), "--quick")[1].strip() == "True"


def test_option_without_meaning_is_accepted_with_a_remark():
    def work(self, options, watch):
        return Outcome({}, "done")

    command = make(work, without={"resume": "it starts anew each time"})
    status, out, err, _ = run(command, "--resume")
    assert (status, out.strip()) == (0, "done")
    assert err.strip() == "--resume has no effect here: it starts anew each time"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Unavailable("redis", "timed out"), 3, "redis is unavailable: timed out"),
        (OperationalError("(2002, 'no server')\nmore"), 3, "no server"),
        (InvalidInput("no such series"), 2, "no such series"),
        (Conflict("stands for something else"), 1, "stands for something else"),
        (LegacyFileError(Path("a.csv"), 3, "x", "y", "broken"), 1, "a.csv line 3 column x"),
        (Cancelled("cancelled after 3 files"), 1, "go on with --resume"),
    ],
)
def test_errors_end_with_their_status_in_one_line(error, status, words):
    def work(self, options, watch):
        raise error

    found, _, _, last = run(make(work))
    assert found == status
    assert words in last
    assert "\n" not in last


@pytest.mark.parametrize(
    "arguments",
    [
        ("--account", "no/pe!"),
        ("--since", "2025-09-30", "--until", "2025-09-01"),
    ],
)
def test_wrong_use_is_status_2(arguments):
    def work(self, options, watch):
        raise AssertionError("not reached")

    assert run(make(work), *arguments)[0] == 2


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--batch-size", "0")])
def test_arguments_that_are_no_values_are_refused_by_name(arguments):
    status, _, _, last = run(make(lambda self, options, watch: Outcome({}, "")), *arguments)
    assert status
    assert arguments[0] in last


def test_complaints_are_listed_up_to_twenty_and_end_with_status_1():
    def work(self, options, watch):
        return Outcome({}, "table", [f"line {number}" for number in range(25)], "25 rows")

    status, out, err, last = run(make(work))
    assert (status, out.strip(), last) == (1, "table", "25 rows")
    assert err.splitlines() == [f"line {number}" for number in range(20)] + ["and 5 more"]


def test_json_is_one_document_and_no_progress():
    def work(self, options, watch):
        for done in range(11):
            watch.step("bars", done, 10, "files")
        return Outcome({"名称": "山西汾酒"}, "a table")

    status, out, err, _ = run(make(work), "--json")
    assert (status, json.loads(out), err) == (0, {"名称": "山西汾酒"}, "")


def test_progress_elsewhere_than_on_a_terminal_is_a_line_each_tenth(monkeypatch):
    monkeypatch.setattr(progress_bar, "_MOMENT", 0.0)

    def work(self, options, watch):
        for done in range(101):
            watch.step("bars", done, 100, "files")
        return Outcome({}, "")

    lines = run(make(work))[2].splitlines()
    assert [line.partition(" files")[0] for line in lines] == [
        f"bars: {done} of 100" for done in range(10, 101, 10)
    ]


def test_step_that_is_over_in_a_moment_has_no_lines():
    def work(self, options, watch):
        for done in range(101):
            watch.step("bars", done, 100, "files")
        return Outcome({}, "")

    assert run(make(work))[2] == ""


def test_progress_on_a_terminal_is_a_bar(capfd):
    def work(self, options, watch):
        for done in range(101):
            watch.step("bars", done, 100, "files")
        return Outcome({}, "done")

    status, out, err, _ = run(make(work), err=Terminal())
    assert (status, out.strip(), err) == (0, "done", "")


def test_first_interrupt_stops_between_two_batches():
    steps = []

    def work(self, options, watch):
        for done in range(3):
            if done == 1:
                os.kill(os.getpid(), signal.SIGINT)
            watch.step("bars", done)
            steps.append(done)
        return Outcome({}, "")

    before = signal.getsignal(signal.SIGINT)
    status, _, err, last = run(make(work))
    assert (status, steps) == (1, [0])
    assert "press Ctrl-C again" in err
    assert "--resume" in last
    assert signal.getsignal(signal.SIGINT) is before


def test_watch_that_is_not_asked_too_often_reports_the_end_of_each_step():
    seen, asked = [], []
    watch = Watch(seen.append, lambda: bool(asked.append(1))).every(1000)
    for step in ("orders", "bars"):
        for done in range(5):
            watch.step(step, done, 4)
    assert seen == [Progress(step, done, 4) for step in ("orders", "bars") for done in (0, 4)]
    assert len(asked) == 1


def test_cancelled_watch_raises_and_stays_cancelled():
    watch = Watch(is_cancelled=lambda: True).every(1000)
    for _ in range(2):
        with pytest.raises(Cancelled, match="after 7 files"):
            watch.step("bars", 7, 9, "files")
