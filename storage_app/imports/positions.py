"""Held days and price extremes of a strategy's folder become a position book.

A book that trading has moved on since is not turned back: what it lacks is added only while its
last increment is that of the file, and what differs is rejected with what the book says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookState, PositionFlag, PositionState
from storage_app.imports.options import ImportOptions
from storage_app.imports.results import ImportResult, join_notes, refusal
from storage_app.legacy.directory import BookFolder
from storage_app.legacy.holdings import (
    Entry,
    Extremes,
    Holdings,
    read_extremes,
    read_holdings,
)
from storage_app.legacy.text import LegacyFileError, Rejected

KIND = gettext_noop("positions")
MAX_KIND = gettext_noop("highest prices")
MIN_KIND = gettext_noop("lowest prices")

Value = int | float | None


def import_positions(
    store: PositionStore, folder: BookFolder, options: ImportOptions
) -> list[ImportResult]:
    """Import the files of one folder in one write.

    With `options.replace_positions` the book becomes what the file of holdings says. Prices of
    codes that are not held come in flagged as leftovers.
    """
    if not (folder.holdings or folder.max_prices or folder.min_prices):
        return []
    try:
        holdings = read_holdings(folder.holdings) if folder.holdings else Holdings()
    except LegacyFileError as exc:
        return _refuse_all(folder, exc)
    account, namespace = options.account_id, folder.namespace
    book = f"{account}/{namespace}" if namespace else account
    replaces = options.replace_positions and folder.holdings is not None
    stored = BookState() if replaces else store.read_book(book)
    draft = _Draft(book, stored, holdings.increment_date or _date_of_prices(folder))
    results = []
    if folder.holdings:
        results.append(draft.add_holdings(folder.holdings, holdings))
    for path, kind, name in (
        (folder.max_prices, MAX_KIND, "max_price"),
        (folder.min_prices, MIN_KIND, "min_price"),
    ):
        if path:
            results.append(_add_extremes(draft, path, kind, name))
    if draft.has_changed and not options.dry_run:
        store.replace_positions(book, draft.positions, draft.increment_date)
    return results


def _date_of_prices(folder: BookFolder) -> date | None:
    """Return the last increment that a file of prices without holdings names; rejects do."""
    if folder.holdings is None:
        for path in (folder.max_prices, folder.min_prices):
            with suppress(LegacyFileError):
                if path and (found := read_extremes(path).increment_date):
                    return found
    return None


def _refuse_all(folder: BookFolder, error: LegacyFileError) -> list[ImportResult]:
    """Leave the prices out as well: without the holdings all would look like leftovers."""
    results = [refusal(error.path, KIND, error)]
    for path, kind in ((folder.max_prices, MAX_KIND), (folder.min_prices, MIN_KIND)):
        if path:
            reason = f"waits for {error.path.name}"
            results.append(refusal(path, kind, LegacyFileError(path, 0, "", "", reason)))
    return results


def _add_extremes(draft: _Draft, path: Path, kind: str, name: str) -> ImportResult:
    try:
        extremes = read_extremes(path)
    except LegacyFileError as exc:
        return refusal(path, kind, exc)
    return draft.add_extremes(path, kind, name, extremes)


class _Draft:
    """The book as it will be, beside the book as it is."""

    def __init__(self, book: str, stored: BookState, increment_date: date | None) -> None:
        self._book = book
        self._stored = stored.positions
        self._stored_date = stored.increment_date
        is_empty = not stored.positions and stored.increment_date is None
        self._can_add = is_empty or stored.increment_date == increment_date
        self.increment_date = increment_date if self._can_add else stored.increment_date
        self.positions: dict[str, PositionState] = dict(stored.positions)

    @property
    def has_changed(self) -> bool:
        return self.positions != self._stored or self.increment_date != self._stored_date

    def add_holdings(self, path: Path, holdings: Holdings) -> ImportResult:
        merged = self._merge("held_days", holdings.days, holdings.entries)
        closed = sum(days is None for days in holdings.days.values())
        notes = (
            _("last increment %(day)s") % {"day": holdings.increment_date or _("unknown")},
            ngettext("%(count)d closed", "%(count)d closed", closed) % {"count": closed}
            if closed
            else "",
        )
        return _result(path, KIND, merged, holdings.rejected, *notes)

    def add_extremes(self, path: Path, kind: str, name: str, extremes: Extremes) -> ImportResult:
        values = {code: float(price) for code, price in extremes.prices.items()}
        crossed = self._crossed(extremes) if name == "min_price" else []
        for row in crossed:
            values.pop(row.column, None)
        merged = self._merge(name, values, extremes.entries)
        leftovers = sum(
            code in self.positions and self.positions[code].held_days is None for code in values
        )
        note = ngettext("%(count)d without a holding", "%(count)d without a holding", leftovers) % {
            "count": leftovers
        }
        return _result(
            path, kind, merged, [*extremes.rejected, *crossed], note if leftovers else ""
        )

    def _merge(
        self, name: str, values: Mapping[str, Value], entries: Mapping[str, Entry]
    ) -> tuple[int, int, list[Rejected]]:
        new = same = 0
        rejected: list[Rejected] = []
        for code, value in values.items():
            held = self._stored.get(code)
            if held and getattr(held, name) == value:
                same += 1
            elif self._can_add and not (held and self._is_set(held, name)):
                new += 1
                self._set(code, name, value)
            else:
                rejected.append(entries[code].reject(self._differs(held, name)))
        return new, same, rejected

    def _is_set(self, held: PositionState, name: str) -> bool:
        if name == "held_days":
            return held.flag is not PositionFlag.LEFTOVER
        return getattr(held, name) is not None

    def _set(self, code: str, name: str, value: Value) -> None:
        state = self.positions.get(code, PositionState(code))
        is_leftover = name != "held_days" and state.held_days is None
        flag = PositionFlag.LEFTOVER if is_leftover else PositionFlag.CLEAR
        # The name of the field is a value here, which no type checker follows.
        changes: dict[str, Any] = {name: value, "flag": flag}
        self.positions[code] = replace(state, **changes)

    def _differs(self, held: PositionState | None, name: str) -> str:
        if held and self._is_set(held, name):
            return f"book {self._book} already has {getattr(held, name)} there"
        moved = f"book {self._book} was last increased on {self._stored_date}"
        return f"{moved}, after or before this file: the position may be closed by now"

    def _crossed(self, extremes: Extremes) -> list[Rejected]:
        """Refuse lowest prices above the highest: an old version raised the low by mistake."""
        crossed = []
        for code, price in extremes.prices.items():
            state = self.positions.get(code)
            if state and state.max_price is not None and price > Decimal(str(state.max_price)):
                reason = f"above the highest price {state.max_price}"
                crossed.append(replace(extremes.entries[code].reject(reason), column=code))
        return crossed


def _result(
    path: Path,
    kind: str,
    merged: tuple[int, int, list[Rejected]],
    unread: Sequence[Rejected],
    *notes: str,
) -> ImportResult:
    new, same, differing = merged
    rejects = sorted([*unread, *differing], key=lambda row: row.line)
    read = new + same + len(rejects)
    return ImportResult(path, kind, read, new, same, rejects, join_notes(*notes))
