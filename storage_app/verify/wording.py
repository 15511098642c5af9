"""Findings in words, in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop

from storage_app.verify.differences import Kind, Problem

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
