"""`assets.csv`: the net value of an account, a row per day and restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from django.utils.translation import ngettext

from storage_app.legacy import fields
from storage_app.legacy.text import Rejected, RowError, read_table

COLUMNS = ("date", "asset")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class AssetFile:
    """Net value by date in yuan; `superseded` rows have a later row of the same date."""

    values: dict[date, Decimal]
    superseded: int
    rejected: list[Rejected]
    note: str = ""


def read_assets(path: Path) -> AssetFile:
    table = read_table(path, COLUMNS)
    rejected = list(table.rejected)
    values: dict[date, Decimal] = {}
    accepted = 0
    for row in table.rows:
        try:
            day = row.parse("date", fields.parse_day)
            values[day] = row.parse("asset", _parse_asset)
            accepted += 1
        except RowError as exc:
            rejected.append(row.reject(exc.column, str(exc)))
    superseded = accepted - len(values)
    note = "; ".join(text for text in (table.note, _note_superseded(superseded)) if text)
    return AssetFile(dict(sorted(values.items())), superseded, rejected, note)


def _parse_asset(text: str) -> Decimal:
    amount = fields.parse_number(text)
    if not 0 <= amount < 10**17:
        raise ValueError("a net value must not be negative")
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _note_superseded(count: int) -> str:
    if not count:
        return ""
    return ngettext(
        "%(count)d superseded by a later row of the same date",
        "%(count)d superseded by later rows of the same dates",
        count,
    ) % {"count": count}
