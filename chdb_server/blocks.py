"""Blocks: names, types and data of some rows, in ClickHouse's native layout."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from chdb_server import wire
from chdb_server.columns import require_supported, skip_column
from chdb_server.errors import MalformedPacket
from chdb_server.typenames import parse
from chdb_server.wire import Inflow, Sink

# Field 1, no overflow rows; field 2, no bucket number; the end of fields.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_MOST_COLUMNS = 1 << 16
_MOST_ROWS = 1 << 40
_LONGEST_NAME = 1 << 20


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says of itself."""

    columns: tuple[Column, ...]
    rows: int

    @property
    def is_end(self) -> bool:
        """A block without columns ends a sequence of blocks."""
        return not self.columns


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


NOWHERE = _Nowhere()


def skip_block_info(inflow: Inflow) -> None:
    while field := inflow.varint():
        if field not in (1, 2):
            raise MalformedPacket(f"block info field {field}")
        inflow.skip(1 if field == 1 else 4)


def copy_block(inflow: Inflow, sink: Sink, types: tuple[str, ...] = ()) -> Header:
    """Move one block without block info to the sink; return its header as it came.

    `types` replaces the names of the types. The block that ends a sequence is
    read but not written.
    """
    count, rows = inflow.varint(), inflow.varint()
    if count > _MOST_COLUMNS or rows > _MOST_ROWS:
        raise MalformedPacket(f"a block of {count} columns and {rows} rows")
    if not count:
        return Header((), rows)
    sink.write(wire.varint(count) + wire.varint(rows))
    given = types or (None,) * count
    return Header(tuple(_copy_column(inflow, sink, rows, name) for name in given), rows)


def _copy_column(inflow: Inflow, sink: Sink, rows: int, given: str | None) -> Column:
    column = Column(inflow.text(_LONGEST_NAME), inflow.text(_LONGEST_NAME))
    kind = parse(column.type)
    require_supported(kind)
    sink.write(wire.string(column.name) + wire.string(given or column.type))
    with inflow.copying(sink):
        skip_column(inflow, kind, rows)
    return column


def retyped(block: bytes, columns: tuple[Column, ...]) -> bytes:
    """Return the block with the types of `columns`, which must be stored alike."""
    copied = BytesIO()
    copy_block(wire.inflow_of(block), copied, tuple(column.type for column in columns))
    return copied.getvalue()


def empty_block(columns: tuple[Column, ...]) -> bytes:
    """Return a block with columns and no rows, without block info."""
    names = b"".join(wire.string(c.name) + wire.string(c.type) for c in columns)
    return wire.varint(len(columns)) + wire.varint(0) + names


def header_of(block: bytes) -> Header:
    """Return the header of the first block in `block`."""
    return copy_block(wire.inflow_of(block), NOWHERE)


def split_blocks(data: bytes) -> list[tuple[Header, bytes]]:
    """Cut a sequence of blocks, as chDB returns it whole, into its members."""
    inflow, members = wire.inflow_of(data), []
    while inflow.buffered:
        piece = BytesIO()
        header = copy_block(inflow, piece)
        members.append((header, piece.getvalue()))
    return members
