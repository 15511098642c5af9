"""One client's socket: packets in, packets out, blocks packed as the query asks."""

from __future__ import annotations

import select
import socket

from chdb_server import packets
from chdb_server.blocks import BLOCK_INFO, Header, copy_block, skip_block_info
from chdb_server.compression import Method, pack, read_frame
from chdb_server.errors import MalformedPacket, PeerGone
from chdb_server.packets import FromClient
from chdb_server.wire import Inflow, Sink

_PIECE = 1 << 18
_LONGEST_TABLE_NAME = 1 << 16


class Channel:
    """Not safe for two threads, except `wants_stop` and `hang_up`."""

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(timeout)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self.inflow = Inflow(self._receive)
        self._unpacked = Inflow(self._receive_frame)
        self._is_compressed = False
        self._method = Method.LZ4

    def next_kind(self, within: float | None = None) -> int:
        """Wait for a packet, for ever unless told, and return its kind."""
        if not self.inflow.buffered:
            timeout = None if within is None else within * 1000
            if not self._poll.poll(timeout):
                raise PeerGone("the client sent nothing")
        return self.inflow.varint()

    def take_cancel(self) -> bool:
        """Consume a cancel packet if one has arrived."""
        if not self.inflow.buffered and not self._poll.poll(0):
            return False
        if self.inflow.peek() != FromClient.CANCEL:
            return False
        self.inflow.byte()
        return True

    def wants_stop(self) -> bool:
        """Say whether the client cancelled or hung up, leaving the packet where it is."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK) in (b"", bytes([FromClient.CANCEL]))
        except OSError:
            return True

    def read_query(self) -> packets.Query:
        query = packets.read_query(self.inflow)
        self._is_compressed = query.is_compressed
        return query

    def read_table_name(self) -> str:
        return self.inflow.text(_LONGEST_TABLE_NAME)

    def read_block(self, sink: Sink) -> Header:
        """Move the next block to the sink, unpacked; answers are packed the way it was."""
        source = self._unpacked if self._is_compressed else self.inflow
        skip_block_info(source)
        header = copy_block(source, sink)
        if self._unpacked.buffered:
            raise MalformedPacket("a compressed frame that goes on after its block")
        return header

    def send_block(self, block: bytes, then: bytes = b"") -> None:
        """Send a block that has no block info, and packets after it."""
        if self._is_compressed:
            block = pack(BLOCK_INFO + block, self._method)
            head = packets.data_prefix()
        else:
            head = packets.data_prefix() + BLOCK_INFO
        if len(block) < _PIECE:
            self.send(head + block + then)
        else:
            for part in (head, block, then):
                self.send(part)

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise PeerGone(str(error)) from error

    def hang_up(self) -> None:
        """Wake whoever waits on the socket; the owner closes it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_PIECE)
        except OSError as error:
            raise PeerGone(str(error)) from error

    def _receive_frame(self) -> bytes:
        content, self._method = read_frame(self.inflow)
        return content


def expect(kind: int, *allowed: FromClient) -> FromClient:
    """Return the kind as a name if it is one of those allowed here."""
    if kind not in allowed:
        raise MalformedPacket(f"packet {kind} where {', '.join(a.name for a in allowed)} may come")
    return FromClient(kind)
