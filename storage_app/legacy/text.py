"""Bytes of a file that Windows, Linux, pandas or a spreadsheet wrote, as rows of text."""

from __future__ import annotations

import codecs
import csv
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from django.utils.translation import ngettext

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CUT = "\ufffd"

ValueT = TypeVar("ValueT")


class LegacyFileError(ValueError):
    """The file is refused as a whole; the message is one line naming the place."""

    def __init__(self, path: Path, line: int, column: str, value: str, reason: str) -> None:
        self.path = path
        self.line = line
        self.column = column
        self.value = value
        self.reason = reason
        super().__init__(describe(path, Rejected(line, column, value, reason)))


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that stays out, with what a person needs to correct it."""

    line: int
    column: str
    value: str
    reason: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    fields: dict[str, str]
    raw: str

    def parse(self, column: str, parser: Callable[[str], ValueT]) -> ValueT:
        try:
            return parser(self.fields[column])
        except ValueError as exc:
            raise RowError(column, str(exc)) from exc

    def reject(self, column: str, reason: str) -> Rejected:
        return Rejected(self.line, column, self.fields.get(column, ""), reason, self.raw)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a CSV file; blank lines and repeated headers are no rows and counted apart."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    skipped: int = 0

    @property
    def note(self) -> str:
        if not self.skipped:
            return ""
        return ngettext(
            "%(count)d blank or repeated header line",
            "%(count)d blank or repeated header lines",
            self.skipped,
        ) % {"count": self.skipped}


class RowError(ValueError):
    """A field of a row is not what its column holds."""

    def __init__(self, column: str, reason: str) -> None:
        self.column = column
        super().__init__(reason)


def describe(path: Path, rejected: Rejected) -> str:
    """Return one line: file, line, column, value and reason; line 0 means the whole file."""
    column = f" column {rejected.column}" if rejected.column else ""
    value = f" value {_shorten(rejected.value)!r}" if rejected.value else ""
    line = f" line {rejected.line}" if rejected.line else ""
    return f"{path}{line}{column}{value}: {rejected.reason}"


def read_text(path: Path) -> str:
    """Decode a file: by its byte order mark, else strict UTF-8, else GB18030.

    A character cut off at the end becomes U+FFFD, so that only the last row suffers. NUL bytes
    (a crash leaves blocks of them) and undecodable bytes refuse the file.
    """
    data = read_bytes(path)
    if not data.strip():
        raise LegacyFileError(path, 1, "", "", "the file is empty")
    text = _decode(path, data)
    position = text.find("\0")
    if position >= 0:
        raise LegacyFileError(path, _line_at(text, position), "", "", "NUL bytes: damaged file")
    return text


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise LegacyFileError(path, 0, "", "", exc.strerror or str(exc)) from exc


def has_byte_order_mark(data: bytes) -> bool:
    return data.startswith((codecs.BOM_UTF8, *_UTF16))


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Read a CSV file that has at least `columns`; rows with too few fields are rejected."""
    return parse_table(path, read_text(path), columns)


def parse_table(path: Path, text: str, columns: Sequence[str]) -> Table:
    lines = split_lines(text)
    header = [clean(name) for name in _split_fields(lines[0])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise LegacyFileError(path, 1, missing[0], lines[0], "the header lacks this column")
    table = Table()
    skipped = 0
    for number, raw in enumerate(lines[1:], start=2):
        fields = _split_fields(raw)
        if not any(fields) or [clean(value) for value in fields] == header:
            skipped += 1
        elif problem := _row_problem(fields, header):
            table.rejected.append(Rejected(number, *problem, raw=raw))
        else:
            named = dict(zip(header, (value.strip() for value in fields), strict=False))
            table.rows.append(Row(number, named, raw))
    _reject_cut_line(text, len(lines), table)
    return Table(table.rows, table.rejected, skipped)


def split_lines(text: str) -> list[str]:
    """Split at CRLF, LF or CR, mixed as they come; the end of the last line adds nothing."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def clean(text: str) -> str:
    """Return text with full-width characters as plain ones, trimmed."""
    return unicodedata.normalize("NFKC", text).strip()


def _decode(path: Path, data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return _decode_as(path, "utf-8", data[len(codecs.BOM_UTF8) :])
    if data.startswith(_UTF16):
        return _decode_as(path, "utf-16", data)
    try:
        return _decode_as(path, "utf-8", data)
    except LegacyFileError:
        return _decode_as(path, "gb18030", data)


def _decode_as(path: Path, encoding: str, data: bytes) -> str:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        value = data[exc.start : exc.end].hex(" ")
        reason = "bytes that are neither UTF-8 nor GBK"
        raise LegacyFileError(path, line, "", value, reason) from exc
    return text + _CUT if decoder.getstate()[0] else text


def _line_at(text: str, position: int) -> int:
    return len(split_lines(text[: position + 1]))


def _split_fields(line: str) -> list[str]:
    # Line by line, because one stray quote would otherwise swallow the rest of the file.
    return next(csv.reader([line]), [])


def _row_problem(fields: list[str], header: list[str]) -> tuple[str, str, str] | None:
    """Return column, value and reason when a row does not fit the header."""
    if len(fields) < len(header):
        reason = f"the row has {len(fields)} of {len(header)} fields"
        return header[len(fields)], "", reason
    if any(fields[len(header) :]):
        reason = f"the row has {len(fields)} fields instead of {len(header)}"
        return "", fields[len(header)], reason
    if any(_CUT in value for value in fields):
        return header[0], fields[0], "characters were lost"
    return None


def _reject_cut_line(text: str, last: int, table: Table) -> None:
    """Reject a last line without its line end if the others end as a strategy writes them."""
    if text.endswith(("\n", "\r")) or "\r\n" not in text[-4096:]:
        return
    if table.rows and table.rows[-1].line == last:
        row = table.rows.pop()
        column = next(reversed(row.fields))
        reason = "the last line has no line end, so its last value may be cut off"
        table.rejected.append(row.reject(column, reason))


def _shorten(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "..."
