"""Whole lists as files: a CSV that streams, a workbook for who opens spreadsheets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from django.db.models import QuerySet
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from storage_app.admin import numbers
from storage_app.admin.csv_answers import csv_answer, harmless
from storage_app.admin.wording import KINDS
from storage_app.models import User
from trades_app.market import clock
from trades_app.models import Trade

COLUMNS: Final[Mapping[str, Promise]] = {
    "traded_at": gettext_lazy("Time"),
    "trade_date": gettext_lazy("Trading date"),
    "account_id": gettext_lazy("Account"),
    "code": gettext_lazy("Code"),
    "name": gettext_lazy("Name"),
    "order_type": gettext_lazy("Kind"),
    "price": gettext_lazy("Price"),
    "volume": gettext_lazy("Volume (shares)"),
    "amount": gettext_lazy("Amount"),
    "strategy_name": gettext_lazy("Strategy"),
    "remark": gettext_lazy("Remark"),
    "order_id": gettext_lazy("Order number"),
    "trade_id": gettext_lazy("Fill number"),
    "source": gettext_lazy("Source"),
    "trade_uid": gettext_lazy("Uid"),
}
CHUNK = 5000
# What a spreadsheet holds, its header included.
SHEET_ROWS: Final = 1_048_576
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Row = Sequence[Any]


def answer(kind: str, rows: QuerySet[Trade], user: User) -> HttpResponseBase:
    """Return the rows as a download, oldest or newest first as they are ordered."""
    header = [str(label) for label in COLUMNS.values()]
    return WRITERS[kind](header, _described(rows, user), _file_name(kind))


def _file_name(kind: str) -> str:
    return f"trades-{clock.now():%Y%m%d-%H%M%S}.{kind}"


def _described(rows: QuerySet[Trade], user: User) -> Iterator[Row]:
    kinds = {kind: str(word) for kind, word in KINDS.items()}
    places = {name: place for place, name in enumerate(COLUMNS)}
    found: Iterator[Row] = rows.values_list(*COLUMNS).iterator(chunk_size=CHUNK)
    # What can fail fails here, before the first byte has left.
    first = list(islice(found, 1))
    return _cells(_chained(first, found), places, kinds, user)


def _chained(first: Iterable[Row], rest: Iterator[Row]) -> Iterator[Row]:
    yield from first
    yield from rest


def _cells(
    rows: Iterator[Row], places: Mapping[str, int], kinds: Mapping[str, str], user: User
) -> Iterator[Row]:
    at, kind, account, uid = (
        places[name] for name in ("traded_at", "order_type", "account_id", "trade_uid")
    )
    whole = numbers.sees_numbers(user)
    for row in rows:
        cells = list(row)
        cells[at] = timezone.localtime(row[at]).replace(tzinfo=None)
        cells[kind] = kinds[row[kind]]
        cells[uid] = str(row[uid])
        cells[account] = row[account] if whole else numbers.masked(row[account])
        yield cells


def _as_csv(header: Row, rows: Iterator[Row], name: str) -> HttpResponseBase:
    return csv_answer(name, header, rows)


def _as_workbook(header: Row, rows: Iterator[Row], name: str) -> HttpResponseBase:
    """Write a row at a time into a file that is gone once it is sent."""
    # Heavy, and worker and beat load the admin too.
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    while True:
        part = list(islice(rows, 1))
        if not part and book.worksheets:
            break
        sheet = book.create_sheet(_("Trades"))
        sheet.append(header)
        for row in _chained(part, islice(rows, SHEET_ROWS - 2)):
            sheet.append([harmless(cell) for cell in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    book.save(file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=name, content_type=XLSX)


WRITERS: Mapping[str, Callable[[Row, Iterator[Row], str], HttpResponseBase]] = {
    "csv": _as_csv,
    "xlsx": _as_workbook,
}
