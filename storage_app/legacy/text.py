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
# Where a character was cut off.
CUT = "\ufffd"
# Of the files that are read as a whole: 35 years of bars of one code have half a megabyte.
LARGEST_FILE = 8 * 1024 * 1024

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
        return note_skipped(self.skipped)


def note_skipped(count: int) -> str:
    if not count:
        return ""
    return ngettext(
        "%(count)d blank or repeated header line",
        "%(count)d blank or repeated header lines",
        count,
    ) % {"count": count}


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
    """Return a file that is read as a whole; one that could fill the memory is refused."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except OSError as exc:
        raise LegacyFileError(path, 0, "", "", exc.strerror or str(exc)) from exc
    if len(data) > LARGEST_FILE:
        reason = f"larger than {LARGEST_FILE >> 20} MB, which no such file can be"
        raise LegacyFileError(path, 0, "", "", reason)
    return data


def has_byte_order_mark(data: bytes) -> bool:
    return data.startswith((codecs.BOM_UTF8, *_UTF16))


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Read a CSV file that has at least `columns`; rows with too few fields are rejected."""
    return parse_table(path, read_text(path), columns)


def parse_table(path: Path, text: str, columns: Sequence[str]) -> Table:
    lines = split_lines(text)
    header = parse_header(path, lines[0], columns)
    table = Table()
    skipped = 0
    for number, raw in enumerate(lines[1:], start=2):
        row = parse_line(number, raw, header)
        if row is None:
            skipped += 1
        elif isinstance(row, Rejected):
            table.rejected.append(row)
        else:
            table.rows.append(row)
    _reject_cut_line(text, len(lines), table)
    return Table(table.rows, table.rejected, skipped)


def parse_header(path: Path, line: str, columns: Sequence[str]) -> list[str]:
    """Return the names of a header line; LegacyFileError if one of `columns` is missing."""
    header = [clean(name) for name in _split_fields(line)]
    missing = [name for name in columns if name not in header]
    if missing:
        raise LegacyFileError(path, 1, missing[0], line, "the header lacks this column")
    return header


def parse_line(number: int, raw: str, header: list[str]) -> Row | Rejected | None:
    """Return the row, why it is none, or None for a blank line or a repeated header."""
    fields = _split_fields(raw)
    if not any(fields) or [clean(value) for value in fields] == header:
        return None
    if problem := _row_problem(fields, header):
        return Rejected(number, *problem, raw=raw)
    named = dict(zip(header, (value.strip() for value in fields), strict=False))
    return Row(number, named, raw)


def split_lines(text: str) -> list[str]:
    """Split at CRLF, LF or CR, mixed as they come; the end of the last line adds nothing."""
    lines = with_plain_ends(text).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    return text + CUT if decoder.getstate()[0] else text


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
    if any(CUT in value for value in fields):
        return header[0], fields[0], "characters were lost"
    return None


def _reject_cut_line(text: str, last: int, table: Table) -> None:
    """Reject a last line without its line end if the others end as a strategy writes them."""
    if text.endswith(("\n", "\r")) or "\r\n" not in text[-4096:]:
        return
    if table.rows and table.rows[-1].line == last:
        table.rejected.append(reject_cut_row(table.rows.pop()))


def reject_cut_row(row: Row) -> Rejected:
    reason = "the last line has no line end, so its last value may be cut off"
    return row.reject(next(reversed(row.fields)), reason)


def _shorten(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "..."
