"""A text file of any size as batches of lines, decoded as `text.read_text` does."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from storage_app.legacy.text import CUT, LegacyFileError, split_lines, with_plain_ends

_BLOCK = 1024 * 1024
# A row of any of the files has a few hundred characters.
_LONGEST_LINE = 1024 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Line ends are told apart from a cut-off line by the end of the file alone.
_TAIL = 4096


class Lines:
    """The lines of one file; each pass over `batches` reads it from the start.

    LegacyFileError for a file that is empty, holds NUL bytes or is in no encoding we know: the
    whole file is checked before the first line is handed out. A character cut off at the end
    becomes U+FFFD.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoding = _examine(path)
        # Known after a pass: the last line has no line end although the others end as a
        # strategy writes them.
        self.is_cut = False

    def batches(self) -> Iterator[list[str]]:
        rest = tail = ""
        for text in _decoded(self.path, self._encoding):
            tail = (tail + text)[-_TAIL:]
            text = rest + text
            # A CR at the end may be half of a CRLF.
            held = "\r" if text.endswith("\r") else ""
            lines = with_plain_ends(text.removesuffix("\r")).split("\n")
            rest = lines.pop() + held
            if len(rest) > _LONGEST_LINE:
                reason = f"a line has more than {_LONGEST_LINE} characters"
                raise LegacyFileError(self.path, 0, "", rest[:60], reason)
            yield lines
        self.is_cut = not tail.endswith(("\n", "\r")) and "\r\n" in tail
        yield split_lines(rest) if rest else []


def _examine(path: Path) -> str:
    """Return the encoding of a file that can be read to its end."""
    if not any(block.strip() for block in _blocks(path)):
        raise LegacyFileError(path, 1, "", "", "the file is empty")
    encoding = _encoding(path)
    _refuse_nul(path, encoding)
    return encoding


def _encoding(path: Path) -> str:
    start = next(_blocks(path))[:3]
    if start.startswith(codecs.BOM_UTF8):
        candidates = ["utf-8-sig"]
    elif start.startswith(_UTF16):
        candidates = ["utf-16"]
    else:
        candidates = ["utf-8", "gb18030"]
    for encoding in candidates[:-1]:
        if _failure(path, encoding) is None:
            return encoding
    failure = _failure(path, candidates[-1])
    if failure:
        raise failure
    return candidates[-1]


def _failure(path: Path, encoding: str) -> LegacyFileError | None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    for block in _blocks(path):
        pending = decoder.getstate()[0]
        try:
            decoder.decode(block)
        except UnicodeDecodeError as exc:
            found = line + (pending + block).count(b"\n", 0, exc.start)
            value = exc.object[exc.start : exc.end].hex(" ")
            return LegacyFileError(path, found, "", value, "bytes that are neither UTF-8 nor GBK")
        line += block.count(b"\n")
    return None


def _refuse_nul(path: Path, encoding: str) -> None:
    line = 1
    for text in _decoded(path, encoding):
        position = text.find("\0")
        if position >= 0:
            found = line + text.count("\n", 0, position)
            raise LegacyFileError(path, found, "", "", "NUL bytes: damaged file")
        line += text.count("\n")


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    for block in _blocks(path):
        yield decoder.decode(block)
    if decoder.getstate()[0]:
        yield CUT


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as data:
            while block := data.read(_BLOCK):
                yield block
    except OSError as exc:
        raise LegacyFileError(path, 0, "", "", exc.strerror or str(exc)) from exc
