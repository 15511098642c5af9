"""INSERT with rows from the client: announce the columns, take the blocks, hand them over."""

from __future__ import annotations

from chdb_server import packets
from chdb_server.arrivals import Arrivals
from chdb_server.blocks import Column, empty_block
from chdb_server.channel import Channel, expect
from chdb_server.columns import UnsupportedType, require_supported
from chdb_server.engine import Link
from chdb_server.errors import (
    NO_SUCH_COLUMN_IN_TABLE,
    NOT_IMPLEMENTED,
    query_error,
)
from chdb_server.insert_text import Insert
from chdb_server.packets import FromClient
from chdb_server.typenames import parse

_NOT_SENT_BY_DEFAULT = ("MATERIALIZED", "ALIAS", "EPHEMERAL")


def insert(link: Link, channel: Channel, statement: Insert) -> None:
    columns = insertable_columns(link, statement)
    channel.send_block(empty_block(columns))
    with Arrivals(link.inbox, columns) as arrivals:
        is_complete = _receive(channel, arrivals)
        if is_complete and arrivals.rows:
            link.run(f"{statement.head}\n{arrivals.query()}")
    written = packets.progress(written=arrivals.rows, written_size=arrivals.size)
    channel.send(written + packets.END_OF_STREAM)


def insertable_columns(link: Link, statement: Insert) -> tuple[Column, ...]:
    """Return the columns the client has to send, in the order of the column list."""
    columns = _described(link, statement)
    for column in columns:
        try:
            require_supported(parse(column.type))
        except UnsupportedType as error:
            raise query_error(NOT_IMPLEMENTED, str(error), "NOT_IMPLEMENTED") from error
    return columns


def _described(link: Link, statement: Insert) -> tuple[Column, ...]:
    names = statement.column_names
    if statement.columns is not None and names is None:
        selection = f"SELECT {statement.columns} FROM {statement.target}"  # noqa: S608 - as sent
        rows = link.rows(f"DESCRIBE ({selection})")
    else:
        rows = link.rows(f"DESCRIBE TABLE {statement.target}")
    if names is None:
        return tuple(Column(r[0], r[1]) for r in rows if r[2] not in _NOT_SENT_BY_DEFAULT)
    types = {row[0]: row[1] for row in rows}
    return tuple(_listed(name, types, statement.target) for name in names)


def _listed(name: str, types: dict[str, str], target: str) -> Column:
    if name not in types:
        text = f"No such column {name} in table {target}"
        raise query_error(NO_SUCH_COLUMN_IN_TABLE, text, "NO_SUCH_COLUMN_IN_TABLE")
    return Column(name, types[name])


def _receive(channel: Channel, arrivals: Arrivals) -> bool:
    """Take blocks up to the one that ends them; False if the client cancelled."""
    while expect(channel.next_kind(), FromClient.DATA, FromClient.CANCEL) is FromClient.DATA:
        channel.read_table_name()
        header = channel.read_block(arrivals)
        if header.is_end:
            return True
        arrivals.add(header)
    return False
