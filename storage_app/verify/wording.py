"""Findings in words, in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop

from storage_app.verify.differences import Kind, Problem
from storage_app.verify.repairs.steps import Action
from trades_app.bar_checks import Check, Severity

KINDS: Final[Mapping[str, Promise]] = {
    Kind.POSITIONS.value: _lazy("positions"),
    Kind.TRADES.value: _lazy("trades"),
    Kind.KLINES.value: _lazy("daily bars"),
    Kind.ACCOUNTS.value: _lazy("accounts"),
    Kind.STRATEGIES.value: _lazy("strategies"),
    Kind.JOURNALS.value: _lazy("journals"),
    Kind.BACKUPS.value: _lazy("backups"),
    Kind.CALENDAR.value: _lazy("calendar"),
}
PROBLEMS: Final[Mapping[str, Promise]] = {
    Problem.DIFFERS.value: _lazy("differs"),
    Problem.MISSING.value: _lazy("missing"),
    Problem.DUPLICATE.value: _lazy("twice"),
    Problem.DAMAGED.value: _lazy("damaged"),
    Problem.OWED.value: _lazy("owed"),
    Problem.OUTDATED.value: _lazy("outdated"),
}
# What was compared, as `Examination.counts` names it.
COUNTED: Final = (
    gettext_noop("books"),
    gettext_noop("positions"),
    gettext_noop("days"),
    gettext_noop("trades"),
    gettext_noop("owed trades"),
    gettext_noop("codes"),
    gettext_noop("bars"),
    gettext_noop("accounts"),
    gettext_noop("bindings"),
    gettext_noop("strategies"),
    gettext_noop("versions"),
    gettext_noop("journals"),
    gettext_noop("backups"),
    gettext_noop("calendar days left"),
)
NOTHING: Final = "–"


def kind_label(kind: str) -> str:
    return str(KINDS.get(kind, kind))


def problem_label(problem: str) -> str:
    return str(PROBLEMS.get(problem, problem))


def notes(kept: Sequence[Sequence[Any]]) -> list[str]:
    """Return the notes of an examination."""
    return [_(message) % values if values else _(message) for message, values in kept]


def value(shown: Any) -> str:
    return NOTHING if shown in (None, "") else str(shown)


def describe(finding: Mapping[str, Any]) -> str:
    """Return a difference as one line: what, where and both values."""
    key, field = finding["key"], finding["field"]
    return (
        f"{kind_label(finding['kind'])}: {key}{f' {field}' if field else ''} "
        f"{problem_label(finding['problem'])}: {finding['left']} = {value(finding['left_value'])}, "
        f"{finding['right'] or NOTHING} = {value(finding['right_value'])}"
    )


ACTIONS: Final[Mapping[str, Promise]] = {
    Action.REPLAY.value: _lazy("bring owed writes to their stores"),
    Action.COPY_BOOK.value: _lazy("copy the book from Redis to the files"),
    Action.RESTORE_BOOK.value: _lazy("restore the book in Redis from the files"),
    Action.COMPLEMENT.value: _lazy("add to each store the trades that it lacks"),
    Action.REBUILD_LINES.value: _lazy("rebuild the damaged file from its lines and ClickHouse"),
    Action.WRITE_BARS.value: _lazy("write the file of bars anew, add to ClickHouse what it lacks"),
    Action.MIRROR_BARS.value: _lazy("write the files of all bars anew"),
    Action.SNAPSHOT.value: _lazy("take the snapshot of the database anew"),
    Action.HELD_DAYS.value: _lazy("count the age anew from the opening day"),
    Action.BY_HAND.value: _lazy("a person has to look at it"),
}
# What a person can do about a kind that no program may put right.
ADVICE: Final[Mapping[str, Promise]] = {
    Kind.POSITIONS.value: _lazy("Neither side can be read: see the runbook."),
    Kind.TRADES.value: _lazy("Decide the trade conflicts of that day."),
    Kind.JOURNALS.value: _lazy("Keep the damaged segment as evidence: see the runbook."),
    Kind.BACKUPS.value: _lazy("Make a backup: manage.py backup."),
    Kind.CALENDAR.value: _lazy("Import a newer list of trading days."),
}
OUTCOMES: Final[Mapping[str, Promise]] = {
    "done": _lazy("done"),
    "failed": _lazy("failed"),
    "by_hand": _lazy("needs a person"),
    "not_done": _lazy("not done"),
}


def action_label(action: str) -> str:
    return str(ACTIONS.get(action, action))


def advice(step: Mapping[str, Any]) -> str:
    """Return what a person should do about a step, nothing where a program can."""
    return str(ADVICE.get(step["kind"], "")) if step["action"] == Action.BY_HAND else ""


def describe_step(step: Mapping[str, Any]) -> str:
    """Return a planned or finished step as one line."""
    line = f"{kind_label(step['kind'])} {step['unit']}: {action_label(step['action'])}"
    line += f" ({step['differences']})"
    told = (advice(step), str(step.get("error", "")))
    return line + "".join(f"; {one}" for one in told if one)


SEVERITIES: Final[Mapping[str, Promise]] = {
    Severity.ERROR.value: _lazy("error"),
    Severity.WARNING.value: _lazy("warning"),
    Severity.INFO.value: _lazy("remark"),
}
CHECKS: Final[Mapping[str, Promise]] = {
    Check.GAP.value: _lazy("days without a bar"),
    Check.SUSPENDED.value: _lazy("probably suspended"),
    Check.MARKET_GAP.value: _lazy("trading days without any bar"),
    Check.THIN_DAY.value: _lazy("a day with few codes"),
    Check.ENDED.value: _lazy("no bars since"),
    Check.CLOSED_DAY.value: _lazy("bars of days that were no trading days"),
    Check.RANGE.value: _lazy("open or close outside of high and low"),
    Check.PRICE.value: _lazy("prices of 0 or less"),
    Check.TURNOVER.value: _lazy("volume and amount contradict each other"),
    Check.LOTS.value: _lazy("volume seems to be in lots, not shares"),
    Check.AVERAGE.value: _lazy("average price outside of high and low"),
    Check.JUMP.value: _lazy("jumps without a corporate action"),
    Check.COPY.value: _lazy("the same bar as the day before"),
    Check.SOURCES.value: _lazy("sources that contradict each other"),
    Check.TWIN.value: _lazy("codes with the same bars"),
}


def severity_label(severity: str) -> str:
    return str(SEVERITIES.get(severity, severity))


def check_label(check: str) -> str:
    return str(CHECKS.get(check, check))


def describe_fault(finding: Mapping[str, Any]) -> str:
    """Return what is wrong with bars as one line."""
    first, last = finding["first"], finding["last"]
    days = first if first == last else f"{first} … {last}"
    return (
        f"{severity_label(finding['severity'])}: {finding['series']} {finding['code']} {days} "
        f"{check_label(finding['check'])} ({finding['count']}): {finding['detail']}"
    )
