"""What can go wrong, and how the engine's error texts become numbered errors.

ChdbServerError
├── EngineUnavailable   the engine or its directory cannot be opened
├── MalformedPacket     the peer does not speak the protocol: hang up
├── PeerGone            the peer closed the connection
└── QueryError          sent to the client as a ClickHouse exception
"""

from __future__ import annotations

import re

NOT_FOUND_COLUMN_IN_BLOCK = 10
NO_SUCH_COLUMN_IN_TABLE = 16
BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_SETTING = 115
READONLY = 164
NO_FREE_CONNECTION = 203
NOT_ENOUGH_SPACE = 243
QUERY_WAS_CANCELLED = 394
AUTHENTICATION_FAILED = 516
STD_EXCEPTION = 1001

_ENGINE_TEXT = re.compile(r"Code: (\d+)\. (DB::Exception: .*)", re.DOTALL)
_VERSION_SUFFIX = re.compile(r" \(version [\d.]+\)\s*$")


class ChdbServerError(Exception):
    """Root of the errors raised by this package."""


class EngineUnavailable(ChdbServerError):
    """The engine is not installed, or its directory cannot be opened."""


class MalformedPacket(ChdbServerError):
    """The peer sent bytes that are no packet of the protocol."""


class PeerGone(ChdbServerError):
    """The peer closed the connection."""


class QueryError(ChdbServerError):
    """A numbered ClickHouse error; `message` starts with the name, as clients expect."""

    name = "DB::Exception"

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"Code: {self.code}. {self.message}"


def query_error(code: int, text: str, symbol: str) -> QueryError:
    """Return an error of this server's own, worded as the engine words its errors."""
    return QueryError(code, f"{QueryError.name}: {text} ({symbol})")


def engine_error(error: BaseException) -> QueryError:
    """Translate what chDB raised; inside a stream the engine's error is the cause."""
    text = str(error.__cause__ or error)
    found = _ENGINE_TEXT.search(text)
    if found is None:
        return query_error(STD_EXCEPTION, text, "STD_EXCEPTION")
    return QueryError(int(found.group(1)), _VERSION_SUFFIX.sub("", found.group(2)))
