"""What kind of statement a text is, told from its words without parsing SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SKIPPED = r"\s+|--[^\n]*|#[! ][^\n]*|/\*.*?\*/"
_STRING = r"'(?:[^'\\]|\\.|'')*'"
_NAME = r"`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.|\"\")*\"|[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(f"(?P<skipped>{_SKIPPED})|(?P<string>{_STRING})|(?P<name>{_NAME})|.", re.DOTALL)
_FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+[A-Za-z]\w*[\s;]*\Z", re.IGNORECASE)
_OUTFILE_CLAUSE = re.compile(r"\bINTO\s+OUTFILE\s+'[^']*'", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"(\w+)\s*=\s*({_STRING}|[^\s,;]+)", re.DOTALL)
_STREAMED = ("SELECT", "WITH", "FROM")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    start: int
    end: int
    is_name: bool

    @property
    def word(self) -> str:
        return self.text.upper()


def tokens(text: str) -> Iterator[Token]:
    """Yield names, strings and single characters; comments and blanks are left out."""
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "skipped":
            is_name = found.lastgroup == "name"
            yield Token(found.group(), found.start(), found.end(), is_name)


def first_word(text: str) -> str:
    """Return the first word in capitals, after comments and opening parentheses."""
    return next((token.word for token in tokens(text) if token.text != "("), "")


def is_streamed(text: str) -> bool:
    """Say whether the engine can deliver the answer block by block."""
    return first_word(text) in _STREAMED


def without_format(text: str) -> str:
    """Drop a FORMAT clause and the last semicolon: over this protocol both are the client's."""
    return _FORMAT_CLAUSE.sub("", text).rstrip().removesuffix(";")


def writes_outfile(text: str) -> bool:
    return _OUTFILE_CLAUSE.search(text) is not None


def assigned_settings(text: str) -> dict[str, str]:
    """Return names and literals of a SET statement, nothing for another statement."""
    return dict(_ASSIGNMENT.findall(text)) if first_word(text) == "SET" else {}


def unquoted(name: str) -> str:
    """Return the name an identifier stands for."""
    quote = name[:1]
    if quote not in ('"', "`"):
        return name
    inner = name[1:-1].replace(quote * 2, quote)
    return re.sub(r"\\(.)", r"\1", inner)


def quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
