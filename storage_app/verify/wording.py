"""Findings in words, in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from storage_app.verify.differences import Kind, Problem
from storage_app.verify.repairs.actions import Action
from trades_app.bar_checks import Check, Severity

KINDS: Final[Mapping[str, Promise]] = {
    Kind.POSITIONS.value: _("positions"),
    Kind.TRADES.value: _("trades"),
    Kind.KLINES.value: _("daily bars"),
    Kind.ACCOUNTS.value: _("accounts"),
    Kind.STRATEGIES.value: _("strategies"),
    Kind.JOURNALS.value: _("journals"),
    Kind.BACKUPS.value: _("backups"),
    Kind.CALENDAR.value: _("calendar"),
}
PROBLEMS: Final[Mapping[str, Promise]] = {
    Problem.DIFFERS.value: _("differs"),
    Problem.MISSING.value: _("missing"),
    Problem.DUPLICATE.value: _("twice"),
    Problem.DAMAGED.value: _("damaged"),
    Problem.OWED.value: _("owed"),
    Problem.OUTDATED.value: _("outdated"),
}
FIELDS: Final[Mapping[str, Promise]] = {
    "_inc_date": _("date of the last increment"),
    "_rev": _("revision"),
    "applied fills": _("fills that count as applied"),
    "held_days": _("held days"),
    "max_price": _("highest price"),
    "min_price": _("lowest price"),
    "volume": _("volume"),
    "opened_on": _("opening day"),
    "flag": _("mark"),
    "price": _("price"),
    "amount": _("amount"),
    "remark": _("remark of the trade"),
    "lines": _("lines"),
    "created_at": _("made at"),
    "known until": _("known until"),
    "server": _("owed to the server"),
    "files": _("not in the files yet"),
    "positions.on_files": _("this host works on its files"),
    "count": _("number"),
    "checksum": _("checksum"),
}
# Sentences that comparisons use as values.
SENTENCES: Final = (
    gettext_noop("%(count)d bars"),
    gettext_noop("%(count)d positions"),
    gettext_noop("%(count)d parameters"),
)
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
    return [gettext(message) % values if values else gettext(message) for message, values in kept]


def value(shown: Any) -> str:
    """Return what a store says; a sentence is told in the reader's language."""
    match shown:
        case None | "":
            return NOTHING
        case [str(message), dict(values)]:
            return gettext(message) % values
        case _:
            return str(shown)


def field_label(field: str) -> str:
    return str(FIELDS.get(field, field))


def describe(finding: Mapping[str, Any]) -> str:
    """Return a difference as one line: what, where and both values."""
    key, field = finding["key"], finding["field"]
    return (
        f"{kind_label(finding['kind'])}: {key}{f' {field_label(field)}' if field else ''} "
        f"{problem_label(finding['problem'])}: {finding['left']} = {value(finding['left_value'])}, "
        f"{finding['right'] or NOTHING} = {value(finding['right_value'])}"
    )


ACTIONS: Final[Mapping[str, Promise]] = {
    Action.REPLAY.value: _("bring owed writes to their stores"),
    Action.COPY_BOOK.value: _("copy the book from Redis to the files"),
    Action.RESTORE_BOOK.value: _("restore the book in Redis from the files"),
    Action.COMPLEMENT.value: _("add to each store the trades that it lacks"),
    Action.REBUILD_LINES.value: _("rebuild the damaged file from its lines and ClickHouse"),
    Action.WRITE_BARS.value: _("write the file of bars anew, add to ClickHouse what it lacks"),
    Action.MIRROR_BARS.value: _("write the files of all bars anew"),
    Action.SNAPSHOT.value: _("take the snapshot of the database anew"),
    Action.HELD_DAYS.value: _("count the age anew from the opening day"),
    Action.BY_HAND.value: _("a person has to look at it"),
}
# What a person can do about a kind that no program may put right.
ADVICE: Final[Mapping[str, Promise]] = {
    Kind.POSITIONS.value: _("Neither side can be read: see the runbook."),
    Kind.TRADES.value: _("Decide the trade conflicts of that day."),
    Kind.JOURNALS.value: _("Keep the damaged segment as evidence: see the runbook."),
    Kind.BACKUPS.value: _("Make a backup: manage.py backup."),
    Kind.CALENDAR.value: _("Import a newer list of trading days."),
}
OUTCOMES: Final[Mapping[str, Promise]] = {
    "done": _("done"),
    "failed": _("failed"),
    "by_hand": _("needs a person"),
    "not_done": _("not done"),
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
    Severity.ERROR.value: _("error"),
    Severity.WARNING.value: _("warning"),
    Severity.INFO.value: _("remark"),
}
CHECKS: Final[Mapping[str, Promise]] = {
    Check.GAP.value: _("days without a bar"),
    Check.SUSPENDED.value: _("probably suspended"),
    Check.MARKET_GAP.value: _("trading days without any bar"),
    Check.THIN_DAY.value: _("a day with few codes"),
    Check.ENDED.value: _("no bars since"),
    Check.CLOSED_DAY.value: _("bars of days that were no trading days"),
    Check.RANGE.value: _("open or close outside of high and low"),
    Check.PRICE.value: _("prices of 0 or less"),
    Check.TURNOVER.value: _("volume and amount contradict each other"),
    Check.LOTS.value: _("volume seems to be in lots, not shares"),
    Check.AVERAGE.value: _("average price outside of high and low"),
    Check.JUMP.value: _("jumps without a corporate action"),
    Check.COPY.value: _("the same bar as the day before"),
    Check.SOURCES.value: _("sources that contradict each other"),
    Check.TWIN.value: _("codes with the same bars"),
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
