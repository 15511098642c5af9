"""The embedded engine: one per process, with a link for every client."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

from chdb_server.errors import EngineUnavailable, QueryError, engine_error
from chdb_server.options import EngineOptions
from chdb_server.packets import ServerVersion
from chdb_server.statements import literal, quoted

# Rows that clients send wait here, in the engine's own directory, until all have come.
_INBOX = "inbox"
_ERROR_STREAM = 2
_LOCKED = "another process has it open"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One block of an answer, and what was read from tables to get there."""

    block: bytes
    rows: int
    rows_read: int
    bytes_read: int


class Link:
    """One chDB connection: current database, settings and temporary tables are its own.

    `tag` names it in `system.processes`. For one thread at a time.
    """

    def __init__(self, connection: Any, tag: str, inbox: Path, defaults: dict[str, str]) -> None:
        self._connection = connection
        self.tag = tag
        self.inbox = inbox
        self.defaults = defaults
        self.run(f"SET log_comment = {literal(tag)}")

    def run(self, sql: str, output_format: str = "Native") -> bytes:
        """Execute a statement and return its whole answer."""
        try:
            return bytes(self._connection.query(_encoded(sql), output_format).bytes())
        except RuntimeError as error:
            raise engine_error(error) from error

    def rows(self, sql: str) -> list[list[Any]]:
        """Execute a statement with a small answer and return it as Python values."""
        lines = self.run(sql, "JSONCompactEachRow").splitlines()
        return [json.loads(line) for line in lines]

    def stream(self, sql: str) -> Generator[Chunk, None, None]:
        """Yield the answer of a SELECT block by block; closing the iterator cancels it."""
        try:
            with self._connection.send_query(_encoded(sql), "Native") as result:
                while (piece := result.fetch()) is not None:
                    yield _chunk(piece)
        except RuntimeError as error:
            raise engine_error(error) from error

    def close(self) -> None:
        self._connection.close()


class Engine:
    """Opens the directory of `options`, which is then locked for other processes."""

    def __init__(self, options: EngineOptions) -> None:
        self._connect = _chdb_connection_class()
        self._options = options
        self._numbers = count(1)
        self._control_lock = threading.Lock()
        self._inbox = options.path / _INBOX
        options.path.mkdir(parents=True, exist_ok=True)
        with _configuration_file(options) as config_file:
            self._connection_string = options.connection_string(config_file)
            self._control = self._open()
        shutil.rmtree(self._inbox, ignore_errors=True)
        self._inbox.mkdir()

    def connect(self) -> Link:
        tag = f"client-{next(self._numbers)}"
        try:
            connection = self._connect(self._connection_string)
            return Link(connection, tag, self._inbox, self._options.session_defaults())
        except RuntimeError as error:
            raise engine_error(error) from error

    def version(self) -> ServerVersion:
        [[text]] = self._control.rows("SELECT version()")
        major, minor, patch = (int(part) for part in text.split(".")[:3])
        return ServerVersion(major, minor, patch)

    def create_database(self, name: str) -> None:
        self._control.run(f"CREATE DATABASE IF NOT EXISTS {quoted(name)} ENGINE = Atomic")

    def interrupt(self, tag: str) -> None:
        """Stop the statement that runs on a link; it ends with QUERY_WAS_CANCELLED."""
        where = f"Settings['log_comment'] = {literal(tag)}"
        with self._control_lock:
            self._control.run(f"KILL QUERY WHERE {where} ASYNC")

    def close(self) -> None:
        with self._control_lock:
            self._control.close()

    def _open(self) -> Link:
        with _native_errors() as said:
            try:
                return self.connect()
            except QueryError as error:
                cause = error
        reason = _LOCKED if "Cannot lock" in said.getvalue() else str(cause)
        raise EngineUnavailable(f"cannot open {self._options.path}: {reason}") from cause


@contextmanager
def _native_errors() -> Iterator[StringIO]:
    """Collect what native code writes to the error stream; it tells why opening fails."""
    said, kept = StringIO(), os.dup(_ERROR_STREAM)
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        os.dup2(file.fileno(), _ERROR_STREAM)
        try:
            yield said
        finally:
            os.dup2(kept, _ERROR_STREAM)
            os.close(kept)
            file.seek(0)
            said.write(file.read())


def _encoded(sql: str) -> bytes:
    return sql.encode("utf-8", "surrogateescape")


def _chunk(piece: Any) -> Chunk:
    read = piece.storage_rows_read(), piece.storage_bytes_read()
    return Chunk(bytes(piece.bytes()), piece.rows_read(), *read)


@contextmanager
def _configuration_file(options: EngineOptions) -> Iterator[Path]:
    """The engine reads its configuration once, when the first connection opens."""
    with NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as file:
        file.write(options.configuration())
        file.flush()
        yield Path(file.name)


def _chdb_connection_class() -> Any:
    """Import chDB without the data frame libraries, which cost 45 MB and are not used here."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in ("pyarrow", "pandas") if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        from chdb.state.sqlitelike import Connection
    except ImportError as error:
        raise EngineUnavailable(f"chdb is not installed: {error}") from error
    finally:
        for name in hidden:
            del modules[name]
    return Connection
