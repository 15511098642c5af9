"""The findings of a report as a table in words, one layout per kind of job."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from storage_app.admin import figures
from storage_app.verify import wording
from storage_app.verify.differences import Problem
from storage_app.verify.repairs.actions import Action
from trades_app.bar_checks import Severity

Finding = Mapping[str, Any]

PROBLEM_TONES = {
    Problem.OWED.value: "info",
    Problem.OUTDATED.value: "warn",
    Problem.DAMAGED.value: "bad",
    Problem.MISSING.value: "bad",
}
SEVERITY_TONES = {
    Severity.ERROR.value: "bad",
    Severity.WARNING.value: "warn",
    Severity.INFO.value: "info",
}
_UID_LENGTH = 36
OUTCOME_TONES = {"done": "good", "failed": "bad"}


@dataclass(frozen=True, slots=True)
class Cell:
    """`lines` below each other, the first of them strong; a badge has a tone."""

    lines: Sequence[str] = ()
    badge: str = ""
    tone: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How the findings of one kind are shown, and by which of their values they are filtered."""

    columns: Sequence[str]
    cells: Callable[[Finding], Sequence[Cell]]
    group: str = ""
    label: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice above a table: a value, what it is called, and how many findings have it."""

    value: str
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def layout_of(findings: Sequence[Any]) -> Layout:
    """Return the layout that the findings are made for; each job has keys of its own."""
    first = findings[0] if findings and isinstance(findings[0], dict) else {}
    if {"problem", "left", "right"} <= first.keys():
        return _comparison()
    if "severity" in first:
        return _bars()
    if "action" in first:
        return _repair()
    return _plain(findings)


def tabulate(findings: Sequence[Any], chosen: str = "") -> tuple[Layout, list[Any], list[Filter]]:
    """Return the layout, the findings that are chosen, and the choices."""
    layout = layout_of(findings)
    if not layout.group:
        return layout, list(findings), []
    counts = Counter(str(one.get(layout.group)) for one in findings)
    filters = [
        Filter(value, layout.label(value), count, value == chosen)
        for value, count in sorted(counts.items())
    ]
    if chosen not in counts:
        return layout, list(findings), filters
    return layout, [one for one in findings if str(one.get(layout.group)) == chosen], filters


def repair_table(steps: Iterable[Finding]) -> Table:
    """Return the steps of a plan, which have no outcome yet."""
    layout = _repair(has_outcome=False)
    return Table(layout.columns, [layout.cells(step) for step in steps])


def _comparison() -> Layout:
    columns = (_("What"), _("Difference"), _("Here"), _("There"), _("Since"))
    return Layout(columns, _difference, "kind", wording.kind_label)


def _difference(one: Finding) -> Sequence[Cell]:
    key, _space, uid = one["key"].rpartition(" ")
    is_uid = len(uid) == _UID_LENGTH
    what = Cell(
        (key if is_uid else one["key"], wording.kind_label(one["kind"]), uid if is_uid else "")
    )
    tone = PROBLEM_TONES.get(one["problem"], "warn")
    field = (wording.field_label(one["field"]),) if one["field"] else ()
    problem = Cell(field, wording.problem_label(one["problem"]), tone)
    here, there = (
        Cell((wording.value(one[f"{side}_value"]), one[side])) for side in ("left", "right")
    )
    return what, problem, here, there, Cell(("", _moment(one["since"])))


def _bars() -> Layout:
    columns = (_("Code"), _("Fault"), _("Days"), _("Number"), _("Example"))
    return Layout(columns, _fault, "severity", wording.severity_label)


def _fault(one: Finding) -> Sequence[Cell]:
    first, last = one["first"], one["last"]
    return (
        Cell((one["code"] or _("the whole market"), one["series"])),
        Cell(
            (wording.check_label(one["check"]),),
            wording.severity_label(one["severity"]),
            SEVERITY_TONES.get(one["severity"], ""),
        ),
        Cell(("", first if first == last else f"{first} … {last}")),
        Cell(("", figures.whole(one["count"])), is_number=True),
        Cell(("", one["detail"])),
    )


def _repair(*, has_outcome: bool = True) -> Layout:
    columns = [_("What"), _("Step"), _("Differences"), _("First difference")]
    if not has_outcome:
        return Layout(columns, _step)
    return Layout([*columns, _("Outcome")], _outcome, "outcome", _outcome_label)


def _step(one: Finding) -> Sequence[Cell]:
    by_hand = one["action"] == Action.BY_HAND
    example = one.get("example") or {}
    return (
        Cell((one["unit"], wording.kind_label(one["kind"]))),
        Cell(("", wording.action_label(one["action"]), wording.advice(one)), tone="warn" * by_hand),
        Cell(("", figures.whole(one["differences"])), is_number=True),
        Cell(("", *_example(example))),
    )


def _example(finding: Finding) -> Sequence[str]:
    """Return what differs and both sides in two lines; the step has named the thing already."""
    if not finding:
        return (figures.MISSING,)
    field = wording.field_label(finding["field"])
    sides = (
        f"{finding[side]} = {wording.value(finding[f'{side}_value'])}"
        for side in ("left", "right")
        if finding[side]
    )
    problem = wording.problem_label(finding["problem"])
    return (f"{problem}: {field}" if field else problem), "; ".join(sides)


def _outcome(one: Finding) -> Sequence[Cell]:
    tone = OUTCOME_TONES.get(one["outcome"], "warn")
    error = ("", one["error"]) if one["error"] else ()
    return *_step(one), Cell(error, _outcome_label(one["outcome"]), tone)


def _outcome_label(outcome: str) -> str:
    return str(wording.OUTCOMES.get(outcome, outcome))


def _plain(findings: Sequence[Any]) -> Layout:
    columns = sorted({key for row in findings if isinstance(row, dict) for key in row})

    def cells(one: Any) -> Sequence[Cell]:
        values = [one.get(column, "") for column in columns] if isinstance(one, dict) else [one]
        return [Cell(("", text(value))) for value in values]

    return Layout(columns or [""], cells)


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(iso: str) -> str:
    try:
        return f"{timezone.localtime(datetime.fromisoformat(iso)):%Y-%m-%d %H:%M}"
    except ValueError:
        return iso or figures.MISSING


def facts(summary: Mapping[str, Any]) -> list[tuple[str | Promise, str]]:
    """Return what a report says of itself: sums by kind first, then all that has no layout."""
    known = {
        "compared": (_("Compared"), _translated),
        "differences": (_("Differences"), wording.kind_label),
        "severities": (_("Severities"), wording.severity_label),
        "outcomes": (_("Outcomes"), _outcome_label),
        "checks": (_("Faults"), wording.check_label),
    }
    shown: list[tuple[str | Promise, str]] = []
    # A database may have put the keys into an order of its own.
    order = [*known, *_PLAIN_FACTS]
    names = [*(name for name in order if name in summary), *sorted(summary.keys() - set(order))]
    for name in names:
        value = summary[name]
        if name in known and isinstance(value, Mapping):
            title, label = known[name]
            sums = (f"{label(key)}: {count:,}" for key, count in value.items() if count)
            shown.append((title, " · ".join(sums) or figures.MISSING))
        elif name in _PLAIN_FACTS:
            shown.append((str(_PLAIN_FACTS[name]()), text(value)))
        elif name not in _HIDDEN_FACTS:
            shown.append((name, text(value)))
    scope = _scope(summary.get("scope") or {})
    return shown + ([(_("Limited to"), scope)] if scope else [])


_PLAIN_FACTS: Mapping[str, Callable[[], str]] = {
    "codes": lambda: _("Codes"),
    "bars": lambda: _("Bars"),
    "reason": lambda: _("Reason"),
    "host": lambda: _("Host"),
}
# Told elsewhere on the page.
_HIDDEN_FACTS = frozenset({"scope", "notes", "unavailable", "cancelled", "not_kept"})


def _translated(name: str) -> str:
    return _(name)


def _scope(scope: Mapping[str, Any]) -> str:
    listed = [", ".join(scope.get(name) or ()) for name in ("accounts", "codes", "series")]
    days = " … ".join(scope.get(name) or "" for name in ("since", "until"))
    return "; ".join(one for one in (*listed, days) if one.strip(" …"))
