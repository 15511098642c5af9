"""The fields packets are made of: reading them as bytes arrive, and writing them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from chdb_server.errors import MalformedPacket, PeerGone

_LONGEST_VARINT = 10
_HANDED_ON_FROM = 1 << 20
_LONGEST_STRING = 256 << 20


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Inflow:
    """Reads fields from bytes that `pull` delivers in pieces; an empty piece is the end.

    While `copying` is active everything read also goes to a sink, piece by
    piece, so that a block of any size passes through in bounded memory.
    """

    def __init__(self, pull: Callable[[], bytes], arrived: bytes = b"") -> None:
        self._pull = pull
        self._buffer = bytearray(arrived)
        self._at = 0
        self._sink: Sink | None = None

    @property
    def buffered(self) -> int:
        return len(self._buffer) - self._at

    @contextmanager
    def copying(self, sink: Sink) -> Iterator[None]:
        self._hand_on()
        self._sink = sink
        try:
            yield
            self._hand_on()
        finally:
            self._sink = None

    def peek(self) -> int:
        """Return the next byte without consuming it."""
        self._need(1)
        return self._buffer[self._at]

    def byte(self) -> int:
        self._need(1)
        self._at += 1
        return self._buffer[self._at - 1]

    def take(self, size: int) -> bytes:
        self._need(size)
        self._at += size
        return bytes(self._buffer[self._at - size : self._at])

    def skip(self, size: int) -> None:
        while size > self.buffered:
            size -= self.buffered
            self._at = len(self._buffer)
            self._fill()
        self._at += size

    def unsigned(self, width: int) -> int:
        """Return a little-endian integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def varint(self) -> int:
        value = 0
        for position in range(_LONGEST_VARINT):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                return value
        raise MalformedPacket("a number of more than ten bytes")

    def string(self, longest: int = _LONGEST_STRING) -> bytes:
        size = self.varint()
        if size > longest:
            raise MalformedPacket(f"a string of {size} bytes where {longest} are allowed")
        return self.take(size)

    def text(self, longest: int = _LONGEST_STRING) -> str:
        """Return a string as text; bytes that are no UTF-8 survive the way back."""
        return self.string(longest).decode("utf-8", "surrogateescape")

    def skip_strings(self, count: int) -> None:
        """Skip length-prefixed strings: the one loop whose cost is per value."""
        while count:
            skipped = self._skip_short_strings(count)
            count -= skipped
            if count and not skipped:
                self.skip(self.varint())
                count -= 1

    def _skip_short_strings(self, count: int) -> int:
        buffer, at, end, left = self._buffer, self._at, len(self._buffer), count
        while left and at < end and (size := buffer[at]) < 0x80 and at + size < end:
            at += size + 1
            left -= 1
        self._at = at
        return count - left

    def _need(self, size: int) -> None:
        while self.buffered < size:
            self._fill()

    def _fill(self) -> None:
        if self._at >= _HANDED_ON_FROM or self._at == len(self._buffer):
            self._hand_on()
        piece = self._pull()
        if not piece:
            raise PeerGone("the connection was closed")
        self._buffer += piece

    def _hand_on(self) -> None:
        if self._sink is not None and self._at:
            self._sink.write(bytes(self._buffer[: self._at]))
        del self._buffer[: self._at]
        self._at = 0


def inflow_of(data: bytes) -> Inflow:
    """Return a reader over bytes already at hand."""
    return Inflow(lambda: b"", data)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return varint(len(data)) + data


def int32(value: int) -> bytes:
    return struct.pack("<i", value)
