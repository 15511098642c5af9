"""Compressed frames: a CityHash128 checksum, the method, two sizes, the packed bytes."""

from __future__ import annotations

import struct
from enum import IntEnum

import lz4.block
import zstd
from clickhouse_cityhash.cityhash import CityHash128

from chdb_server.errors import MalformedPacket
from chdb_server.wire import Inflow

_HEADER = struct.Struct("<BII")
_LARGEST_FRAME = 1 << 30
_FRAME_SIZE = 1 << 20


class Method(IntEnum):
    NONE = 0x02
    LZ4 = 0x82
    ZSTD = 0x90


def pack(data: bytes, method: Method) -> bytes:
    """Return the frames that carry `data`, a mebibyte each."""
    pieces = range(0, len(data), _FRAME_SIZE)
    return b"".join(_frame(data[at : at + _FRAME_SIZE], method) for at in pieces)


def read_frame(inflow: Inflow) -> tuple[bytes, Method]:
    """Return the unpacked content of the next frame and how it was packed."""
    checksum, header = inflow.take(16), inflow.take(_HEADER.size)
    method, packed_size, size = _HEADER.unpack(header)
    if not _HEADER.size <= packed_size <= _LARGEST_FRAME or size > _LARGEST_FRAME:
        raise MalformedPacket(f"a compressed frame of {packed_size} bytes for {size}")
    body = inflow.take(packed_size - _HEADER.size)
    if _checksum(header + body) != checksum:
        raise MalformedPacket("a compressed frame with a wrong checksum")
    content = _unpack(body, method, size)
    if len(content) != size:
        raise MalformedPacket("a compressed frame of another size than announced")
    return content, Method(method)


def _frame(data: bytes, method: Method) -> bytes:
    body = _packed(data, method)
    framed = _HEADER.pack(method, _HEADER.size + len(body), len(data)) + body
    return _checksum(framed) + framed


def _packed(data: bytes, method: Method) -> bytes:
    if method is Method.LZ4:
        return bytes(lz4.block.compress(data, store_size=False))
    return bytes(zstd.compress(data, 1)) if method is Method.ZSTD else data


def _unpack(body: bytes, method: int, size: int) -> bytes:
    try:
        if method == Method.LZ4:
            return bytes(lz4.block.decompress(body, uncompressed_size=size))
        if method == Method.ZSTD:
            return bytes(zstd.decompress(body))
    except (lz4.block.LZ4BlockError, zstd.Error) as error:
        raise MalformedPacket(f"a compressed frame that does not unpack: {error}") from error
    if method == Method.NONE:
        return body
    raise MalformedPacket(f"compression method {method:#x}")


def _checksum(data: bytes) -> bytes:
    """CityHash128 as ClickHouse writes it: the high half first."""
    value = CityHash128(data)
    return struct.pack("<QQ", value >> 64, value & 0xFFFFFFFFFFFFFFFF)
