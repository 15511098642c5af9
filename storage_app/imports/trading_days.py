"""The list of trading days becomes `DATA_DIR/calendar.csv`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.trading_days import DayFile, read_trading_days
from trades_app.market import calendar

KIND = gettext_noop("trading days")


def import_trading_days(source: Path, target: Path, *, dry_run: bool) -> ImportResult:
    """Merge a list into the calendar: inside its span the list wins, outside all days stay.

    A list with rejected rows may open days but closes none, since a hole would look like a
    holiday and stop every job of that day.
    """
    listed = read_trading_days(source)
    stored, damage = _read_stored(target)
    merged, dropped = _merge(listed, stored, closes_days=not listed.rejected)
    new = sorted(set(listed.days) - set(stored))
    if (new or dropped) and not dry_run:
        _write(target, merged)
    closed = ngettext(
        "%(count)d day is not a trading day any more",
        "%(count)d days are not trading days any more",
        len(dropped),
    ) % {"count": len(dropped)}
    return ImportResult(
        source,
        KIND,
        read=len(listed.days) + listed.repeated + len(listed.rejected),
        new=len(new),
        same=len(listed.days) - len(new) + listed.repeated,
        rejects=listed.rejected,
        note=join_notes(listed.note, closed if dropped else "", damage),
    )


def _read_stored(target: Path) -> tuple[list[date], str]:
    if not target.exists():
        return [], ""
    try:
        return calendar.read_days(target), ""
    except calendar.InvalidCalendar as exc:
        return [], _("replaced a damaged calendar (%(reason)s)") % {"reason": exc}


def _merge(
    listed: DayFile, stored: Sequence[date], *, closes_days: bool
) -> tuple[list[date], list[date]]:
    if not listed.days:
        return list(stored), []
    first, last = listed.days[0], listed.days[-1]
    outside = {day for day in stored if not first <= day <= last}
    inside = set(stored) - outside - set(listed.days)
    if closes_days:
        return sorted(outside | set(listed.days)), sorted(inside)
    known = set(calendar.bundled_days(first, last))
    return sorted(outside | inside | set(listed.days) | known), []


def _write(target: Path, days: Sequence[date]) -> None:
    """Replace the file in one step, so that no reader meets half a calendar."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    with draft.open("w", encoding="utf-8", newline="\n") as lines:
        lines.write(f"{calendar.COLUMN}\n")
        lines.writelines(f"{day}\n" for day in days)
        lines.flush()
        os.fsync(lines.fileno())
    draft.replace(target)
