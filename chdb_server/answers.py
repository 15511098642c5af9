"""Answers to statements: blocks as the engine makes them, then the closing packets."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice

from chdb_server import packets
from chdb_server.blocks import Column, empty_block, header_of, retyped, split_blocks
from chdb_server.channel import Channel
from chdb_server.columns import UnsupportedType
from chdb_server.engine import Chunk, Link
from chdb_server.errors import NOT_IMPLEMENTED, SYNTAX_ERROR, ChdbServerError, query_error
from chdb_server.statements import first_word, is_streamed, without_format, writes_outfile

# The native format leaves the time zone of `DateTime('UTC')` out of the type's name.
_SHORTENED = "DateTime"


@dataclass(slots=True)
class _Sent:
    rows: int = 0
    blocks: int = 0
    size: int = 0

    def count(self, rows: int, block: bytes) -> None:
        self.rows += rows
        self.blocks += 1
        self.size += len(block)

    def closing_packets(self) -> bytes:
        return packets.profile_info(self.rows, self.blocks, self.size) + packets.END_OF_STREAM


@dataclass(frozen=True, slots=True)
class _Started:
    """A SELECT under way; `lost_types` if blocks come with shortened type names."""

    columns: tuple[Column, ...]
    first: tuple[Chunk, ...]
    rest: Generator[Chunk, None, None]
    lost_types: bool = False

    def block_of(self, chunk: Chunk) -> bytes:
        return retyped(chunk.block, self.columns) if self.lost_types else chunk.block


def answer(link: Link, channel: Channel, statement: str) -> None:
    """Execute a statement and send all of its answer."""
    word = first_word(statement)
    if not word:
        raise query_error(SYNTAX_ERROR, "Empty query", "SYNTAX_ERROR")
    if word == "INSERT":
        link.run(statement)
        channel.send(packets.END_OF_STREAM)
        return
    statement = without_format(statement)
    if is_streamed(statement):
        _stream(link, channel, statement)
    else:
        _send_whole(channel, link.run(statement))


def _stream(link: Link, channel: Channel, statement: str) -> None:
    """Send blocks as they come, until the last or until the client cancels."""
    if writes_outfile(statement):
        raise query_error(NOT_IMPLEMENTED, "INTO OUTFILE is the client's", "NOT_IMPLEMENTED")
    started = _start(link, statement)
    sent = _Sent()
    with closing(started.rest):
        channel.send_block(empty_block(started.columns))
        for chunk in chain(started.first, started.rest):
            read = packets.progress(chunk.rows_read, chunk.bytes_read)
            channel.send_block(started.block_of(chunk), read)
            sent.count(chunk.rows, chunk.block)
            if channel.take_cancel():
                break
    channel.send(sent.closing_packets())


def _send_whole(channel: Channel, data: bytes) -> None:
    sent = _Sent()
    for header, block in split_blocks(data):
        if not sent.blocks:
            channel.send_block(empty_block(header.columns))
        channel.send_block(block)
        sent.count(header.rows, block)
    channel.send(sent.closing_packets() if sent.blocks else packets.END_OF_STREAM)


def _start(link: Link, statement: str) -> _Started:
    """Begin a SELECT and find its columns, which the client wants before any row.

    The first block names them, unless there is none, or a column's layout is
    unknown here, or a DateTime has lost its time zone on the way. Then the
    engine is asked, after the end of a short answer and before a second
    beginning of a long one: a link runs one statement at a time.
    """
    chunks = link.stream(statement)
    first = tuple(islice(chunks, 1))
    seen = _visible_columns(first[0].block) if first else ()
    if seen and not any(column.type == _SHORTENED for column in seen):
        return _Started(seen, first, chunks)
    is_long = bool(first) and next(chunks, None) is not None
    chunks.close()
    columns = _restored(seen, _described(link, statement))
    if is_long:
        first, chunks = (), link.stream(statement)
    return _Started(columns, first, chunks, lost_types=bool(seen) and seen != columns)


def _restored(seen: tuple[Column, ...], described: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of a block with the time zones they have by description."""
    if len(seen) != len(described):
        return seen or described
    pairs = zip(seen, described, strict=True)
    return tuple(true if column.type == _SHORTENED else column for column, true in pairs)


def _visible_columns(block: bytes) -> tuple[Column, ...]:
    """Return the columns as the block names them, none if it cannot be read here."""
    try:
        return header_of(block).columns
    except UnsupportedType:
        return ()
    except ChdbServerError as error:
        text = f"The answer is not in the native format: {error}"
        raise query_error(NOT_IMPLEMENTED, text, "NOT_IMPLEMENTED") from error


def _described(link: Link, statement: str) -> tuple[Column, ...]:
    rows = link.rows(f"DESCRIBE ({statement}\n)")
    return tuple(Column(row[0], row[1]) for row in rows)
