"""Reading an INSERT as far as the place its rows come from."""

from __future__ import annotations

from dataclasses import dataclass

from chdb_server.statements import Token, first_word, tokens, unquoted

_ROWS_FROM_QUERY = ("SELECT", "WITH", "FROM", "WATCH")


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose rows the client sends as blocks.

    `head` is the text up to VALUES or FORMAT, `target` the table or function
    call, `columns` what stands in the parentheses of the column list, if any.
    """

    head: str
    target: str
    columns: str | None

    @property
    def column_names(self) -> list[str] | None:
        """The names of a plain column list, None for a list with asterisks and the like."""
        return _listed_names(self.columns) if self.columns is not None else None


def insert_of_blocks(text: str) -> Insert | None:
    """Return the INSERT if its rows are to come from the client, else None."""
    cursor = _Cursor(text)
    if not cursor.passes("INSERT"):
        return None
    cursor.passes("INTO")
    cursor.passes("TABLE")
    target = _target(cursor, is_function=cursor.passes("FUNCTION"))
    columns = cursor.group() if cursor.word == "(" else None
    if not target or first_word(columns or "") in _ROWS_FROM_QUERY:
        return None
    end = _head_end(cursor)
    return None if end is None else Insert(text[:end], target, columns)


class _Cursor:
    """Goes through the words of a text, looking one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self.end = 0
        self.token = next(self._tokens, None)

    @property
    def word(self) -> str:
        return self.token.word if self.token else ""

    def advance(self) -> Token | None:
        passed = self.token
        if passed is not None:
            self.end = passed.end
            self.token = next(self._tokens, None)
        return passed

    def passes(self, word: str) -> bool:
        return self.word == word and self.advance() is not None

    def group(self) -> str:
        """Pass over balanced parentheses and return what stands between them."""
        start, depth = self.end, 0
        opened = self.token
        while self.token is not None:
            depth += {"(": 1, ")": -1}.get(self.token.text, 0)
            self.advance()
            if not depth:
                break
        return self._text[opened.end if opened else start : self.end - 1]

    def text_since(self, start: int) -> str:
        return self._text[start : self.end]


def _target(cursor: _Cursor, *, is_function: bool) -> str:
    """Pass over `table`, `database.table` or `function(arguments)`."""
    if cursor.token is None or not cursor.token.is_name:
        return ""
    start = cursor.token.start
    cursor.advance()
    while cursor.passes("."):
        cursor.advance()
    if is_function and cursor.word == "(":
        cursor.group()
    return cursor.text_since(start)


def _head_end(cursor: _Cursor) -> int | None:
    """Return where the head ends, None if the rows come from the text itself."""
    while cursor.token is not None:
        end = cursor.end
        if cursor.word in _ROWS_FROM_QUERY:
            return None
        if cursor.word == "(":
            cursor.group()
            continue
        if (word := cursor.word) in ("VALUES", "FORMAT", ";"):
            return end if _nothing_follows(cursor, word) else None
        cursor.advance()
    return cursor.end


def _nothing_follows(cursor: _Cursor, word: str) -> bool:
    cursor.advance()
    if word == "FORMAT":
        cursor.advance()
    cursor.passes(";")
    return cursor.token is None


def _listed_names(columns: str) -> list[str] | None:
    names, joins = [""], True
    for token in tokens(columns):
        if token.is_name and joins:
            names[-1] += unquoted(token.text)
        elif token.text == "." and names[-1]:
            names[-1] += "."
        elif token.text == "," and names[-1]:
            names.append("")
        else:
            return None
        joins = not token.is_name
    return [name for name in names if name] or None
