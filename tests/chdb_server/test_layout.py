"""The parts that read bytes, against bytes made up for the purpose."""

from __future__ import annotations

from io import BytesIO

import pytest
from clickhouse_driver.bufferedwriter import CompressedBufferedWriter
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.context import Context
from hypothesis import given
from hypothesis import strategies as st

from chdb_server import wire
from chdb_server.blocks import copy_block, empty_block, header_of
from chdb_server.compression import Method, pack, read_frame
from chdb_server.errors import MalformedPacket, PeerGone
from chdb_server.insert_text import insert_of_blocks
from chdb_server.typenames import parse
from chdb_server.wire import Inflow

text = st.text(max_size=200)
LEAVES = {
    "UInt8": st.integers(0, 255),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "Float64": st.floats(allow_nan=False),
    "String": text,
    "Nullable(String)": st.none() | text,
    "LowCardinality(String)": text,
}


def nested(inner):
    """Wrap a type and its values in an array or a tuple."""
    return inner.flatmap(
        lambda pair: st.sampled_from(
            [
                (f"Array({pair[0]})", st.lists(pair[1], max_size=4)),
                (f"Tuple({pair[0]}, UInt8)", st.tuples(pair[1], LEAVES["UInt8"])),
            ]
        )
    )


types = st.recursive(st.sampled_from(list(LEAVES.items())), nested, max_leaves=3)
columns = types.flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(pair[1], min_size=1, max_size=20))
)


def block_of(type_name, values):
    """Write one column as the driver does, after the counts that open a block."""
    context = Context()
    context.settings = {}
    context.client_settings = {"strings_as_bytes": False, "strings_encoding": "utf-8"} | {
        "use_numpy": False,
        "input_format_null_as_default": False,
        "namedtuple_as_json": False,
    }
    out = BytesIO()
    buffer = CompressedBufferedWriter(out, 1 << 20)
    write_column(context, "v", type_name, list(values), buffer)
    buffer.flush()
    head = wire.varint(1) + wire.varint(len(values)) + wire.string("v") + wire.string(type_name)
    return head + out.getvalue()


def pieces_of(data, size):
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return Inflow(lambda: next(pieces, b""))


@given(columns, st.integers(1, 300))
def test_a_block_is_copied_exactly_however_it_arrives(column, size):
    block = block_of(*column)
    inflow, copied = pieces_of(block + b"next", size), BytesIO()
    header = copy_block(inflow, copied)
    assert copied.getvalue() == block
    assert header.rows == len(column[1])
    assert inflow.take(4) == b"next"


@given(columns, st.data())
def test_a_block_cut_short_is_never_taken_for_whole(column, data):
    block = block_of(*column)
    cut = data.draw(st.integers(0, len(block) - 1))
    with pytest.raises((PeerGone, MalformedPacket)):
        header_of(block[:cut])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_block_or_an_error(data):
    try:
        header_of(data)
    except (PeerGone, MalformedPacket):
        return


@given(st.binary(min_size=1, max_size=5000), st.sampled_from(Method), st.integers(1, 5000))
def test_frames_unpack_to_what_was_packed(data, method, size):
    assert read_frame(pieces_of(pack(data, method), size)) == (data, method)


@given(st.binary(min_size=1, max_size=500), st.sampled_from(Method), st.data())
def test_a_frame_with_a_changed_byte_is_refused(data, method, choice):
    frame = bytearray(pack(data, method))
    frame[choice.draw(st.integers(0, len(frame) - 1))] ^= choice.draw(st.integers(1, 255))
    with pytest.raises((PeerGone, MalformedPacket)):
        read_frame(wire.inflow_of(bytes(frame)))


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive_the_wire(number):
    assert wire.inflow_of(wire.varint(number)).varint() == number


def test_a_large_frame_is_split_and_read_back():
    data = bytes(3 << 20)
    inflow = wire.inflow_of(pack(data, Method.LZ4))
    assert b"".join(read_frame(inflow)[0] for _ in range(3)) == data
    assert not inflow.buffered


@pytest.mark.parametrize("name", ["", "Array(", "Array(Int8", "Int8)", "Array()(", "'", "A(" * 99])
def test_what_is_no_type_name_is_an_error(name):
    with pytest.raises(MalformedPacket):
        parse(name)


def test_a_block_without_rows_shows_its_columns():
    header = header_of(block_of("Array(String)", [["x"]]))
    assert header_of(empty_block(header.columns)).columns == header.columns


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "SELECT 1",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t (a) WITH 1 AS x SELECT x",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t FORMAT CSV 1",
        "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
    ],
)
def test_an_insert_with_its_own_rows_asks_for_none(statement):
    assert insert_of_blocks(statement) is None
