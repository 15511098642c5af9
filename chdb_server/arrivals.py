"""Rows sent by clients: kept in a file until all are there, then given to the engine.

The engine sees nothing of a client that dies halfway, an error needs no
draining, and memory stays bounded. chDB's own streaming insert is no
alternative: it reports success when the table refuses the rows, for example
for a violated constraint.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import IO

from chdb_server.blocks import Column, Header
from chdb_server.errors import (
    NOT_ENOUGH_SPACE,
    NOT_FOUND_COLUMN_IN_BLOCK,
    QueryError,
    query_error,
)
from chdb_server.statements import literal, quoted


class Arrivals:
    """The blocks of one table; a context that removes its file."""

    def __init__(self, inbox: Path, columns: tuple[Column, ...] = ()) -> None:
        self._inbox = inbox
        self._file: IO[bytes] | None = None
        self._failure: QueryError | None = None
        self.columns = columns
        self.rows = 0
        self.size = 0

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, data: bytes, /) -> None:
        """Keep bytes of a block. After a failure the rest is read and dropped."""
        self.size += len(data)
        if self._failure is None:
            try:
                self._write(data)
            except OSError as error:
                self._fail(NOT_ENOUGH_SPACE, f"Cannot keep rows: {error}", "NOT_ENOUGH_SPACE")

    def add(self, header: Header) -> None:
        """Count a block that has been written; the first one names the columns if need be."""
        self.columns = self.columns or header.columns
        names = {column.name for column in self.columns}
        if {column.name for column in header.columns} != names:
            symbol = "NOT_FOUND_COLUMN_IN_BLOCK"
            self._fail(NOT_FOUND_COLUMN_IN_BLOCK, "Block with other columns than asked", symbol)
        self.rows += header.rows

    def structure(self) -> str:
        return ", ".join(f"{quoted(column.name)} {column.type}" for column in self.columns)

    def query(self) -> str:
        """Return a SELECT of the rows, or raise what kept them from being kept."""
        if self._failure is not None:
            raise self._failure
        if self._file is None:
            return f"SELECT * FROM null({literal(self.structure())})"  # noqa: S608 - quoted
        self._file.flush()
        arguments = (self._file.name, "Native", self.structure())
        return f"SELECT * FROM file({', '.join(map(literal, arguments))})"  # noqa: S608 - quoted

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = NamedTemporaryFile(dir=self._inbox, suffix=".native")  # noqa: SIM115
        self._file.write(data)

    def _fail(self, code: int, text: str, symbol: str) -> None:
        self._failure = self._failure or query_error(code, text, symbol)
