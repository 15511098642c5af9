"""The packets of the native protocol at revision 54440, as seen by a server.

The revision is chosen, not inherited: 54429 sends settings as text, 54441
would add an inter-server secret, 54442 tracing fields, and 54454 a byte per
column that the engine's native blocks do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from chdb_server import wire
from chdb_server.errors import MalformedPacket, QueryError
from chdb_server.wire import Inflow

REVISION = 54440
OLDEST_CLIENT = 54429
SERVER_NAME = "ClickHouse"

_LONGEST_NAME = 1 << 16
_MOST_SETTINGS = 10_000
_IMPORTANT = 1


class FromClient(IntEnum):
    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4


class FromServer(IntEnum):
    HELLO = 0
    DATA = 1
    EXCEPTION = 2
    PROGRESS = 3
    PONG = 4
    END_OF_STREAM = 5
    PROFILE_INFO = 6


@dataclass(frozen=True, slots=True)
class Hello:
    client: str
    revision: int
    database: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    value: str
    is_important: bool


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    settings: tuple[Setting, ...]
    is_compressed: bool


@dataclass(frozen=True, slots=True)
class ServerVersion:
    major: int
    minor: int
    patch: int


def read_hello(inflow: Inflow) -> Hello:
    client = inflow.text(_LONGEST_NAME)
    inflow.varint()  # the client's version, major
    inflow.varint()  # and minor
    revision = inflow.varint()
    database, user, password = (inflow.text(_LONGEST_NAME) for _ in range(3))
    return Hello(client, revision, database, user, password)


def read_query(inflow: Inflow) -> Query:
    inflow.text(_LONGEST_NAME)  # query id: the engine gives its own
    _skip_client_info(inflow)
    settings = _read_settings(inflow)
    inflow.varint()  # the stage to stop at, always the last one for an end user
    is_compressed = inflow.varint() == 1
    return Query(inflow.text(), settings, is_compressed)


def _skip_client_info(inflow: Inflow) -> None:
    if not inflow.byte():
        return
    for _ in range(3):
        inflow.text(_LONGEST_NAME)  # initial user, query id and address
    if inflow.byte() != 1:
        raise MalformedPacket("a query from another interface than TCP")
    for _ in range(3):
        inflow.text(_LONGEST_NAME)  # system user, host and client name
    for _ in range(3):
        inflow.varint()  # client version and revision
    inflow.text(_LONGEST_NAME)  # quota key
    inflow.varint()  # client patch version


def _read_settings(inflow: Inflow) -> tuple[Setting, ...]:
    settings = []
    while name := inflow.text(_LONGEST_NAME):
        flags = inflow.varint()
        settings.append(Setting(name, inflow.text(), bool(flags & _IMPORTANT)))
        if len(settings) > _MOST_SETTINGS:
            raise MalformedPacket("too many settings")
    return tuple(settings)


def hello(version: ServerVersion, timezone: str) -> bytes:
    return b"".join(
        (
            wire.varint(FromServer.HELLO),
            wire.string(SERVER_NAME),
            wire.varint(version.major),
            wire.varint(version.minor),
            wire.varint(REVISION),
            wire.string(timezone),
            wire.string("chdb_server"),
            wire.varint(version.patch),
        )
    )


def exception(error: QueryError) -> bytes:
    no_stack_trace, no_cause = wire.string(""), b"\x00"
    return b"".join(
        (
            wire.varint(FromServer.EXCEPTION),
            wire.int32(error.code),
            wire.string(error.name),
            wire.string(error.message),
            no_stack_trace + no_cause,
        )
    )


def progress(rows: int = 0, size: int = 0, *, written: int = 0, written_size: int = 0) -> bytes:
    """Return the increase since the last progress packet; the total is never known."""
    numbers = (FromServer.PROGRESS, rows, size, 0, written, written_size)
    return b"".join(map(wire.varint, numbers))


def profile_info(rows: int, blocks: int, size: int) -> bytes:
    numbers = (FromServer.PROFILE_INFO, rows, blocks, size)
    no_limit = b"\x00" + wire.varint(rows) + b"\x00"
    return b"".join(map(wire.varint, numbers)) + no_limit


def data_prefix() -> bytes:
    """Return what stands before a block; only clients name tables."""
    return wire.varint(FromServer.DATA) + wire.string("")


PONG = wire.varint(FromServer.PONG)
END_OF_STREAM = wire.varint(FromServer.END_OF_STREAM)
