from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

SHANGHAI = ZoneInfo("Asia/Shanghai")

VALUES = {
    "Int8": [-128, 127],
    "Int16": [-(2**15), 2**15 - 1],
    "Int32": [-(2**31), 2**31 - 1],
    "Int64": [-(2**63), 2**63 - 1],
    "Int128": [-(2**127), 2**127 - 1],
    "Int256": [-(2**255), 2**255 - 1],
    "UInt8": [0, 255],
    "UInt16": [0, 2**16 - 1],
    "UInt32": [0, 2**32 - 1],
    "UInt64": [0, 2**64 - 1],
    "UInt128": [0, 2**128 - 1],
    "UInt256": [0, 2**256 - 1],
    "Float32": [0.5, -1.25],
    "Float64": [2.01, -1e300],
    "Decimal(9, 3)": [Decimal("12.345"), Decimal("-0.001")],
    "Decimal(18, 2)": [Decimal("9999999999999999.99"), Decimal(0)],
    "Decimal(38, 4)": [Decimal("1234567890123456789012345678901234.5678"), Decimal("-1.5")],
    "Decimal(76, 5)": [Decimal(10) ** 70, -(Decimal(10) ** 70)],
    "Date": [date(1970, 1, 1), date(2149, 6, 6)],
    "Date32": [date(1900, 1, 1), date(2299, 12, 31)],
    "String": ["", "平安银行", "x" * 100_000, "two\nlines"],
    "FixedString(9)": ["600000.SH", "000001.SZ"],
    "UUID": [UUID(int=0), UUID("9c7f2b9e-1d2f-4b0e-8f4a-2d1d1a0b5a11")],
    "Bool": [True, False],
    "Enum8('BUY' = 1, 'SELL' = 2)": ["BUY", "SELL"],
    "Enum16('a,b)' = 1000, 'it\\'s' = -1000)": ["a,b)", "it's"],
    "IPv4": [IPv4Address("255.0.0.1"), IPv4Address("10.1.2.3")],
    "IPv6": [IPv6Address("::1"), IPv6Address("2001:db8::ff")],
    "Nullable(Int32)": [None, 5],
    "Nullable(String)": [None, "", "x"],
    "LowCardinality(String)": ["600000.SH", "", "600000.SH"],
    "LowCardinality(Nullable(String))": [None, "a", "", "a"],
    "Array(Int32)": [[], [1, 2, 3], [4]],
    "Array(Array(String))": [[["a"], []], [], [["b", "c"]]],
    "Array(Nullable(Float64))": [[None, 1.5], []],
    "Array(LowCardinality(String))": [["a", "b", "a"], [], ["b"]],
    "Array(LowCardinality(Nullable(String)))": [[None, "b"], ["b"], []],
    "Tuple(Int8, String)": [(1, "a"), (2, "b")],
    "Tuple(code LowCardinality(String), prices Array(Decimal(9, 3)))": [
        ("600000.SH", [Decimal("1.001")]),
        ("000001.SZ", []),
    ],
    "Map(String, Int64)": [{"a": 1, "b": 2}, {}],
    "Map(String, LowCardinality(String))": [{"a": "x"}, {"b": "x", "c": "y"}],
    "SimpleAggregateFunction(max, Float64)": [1.5, 2.5],
}
# An array without elements in the whole block has no data after its offsets.
VALUES_OF_EMPTY_ARRAYS = {
    "Array(LowCardinality(String))": [[], []],
    "Map(String, Int64)": [{}, {}],
    "Array(Tuple(Int8, String))": [[], []],
}


@pytest.mark.parametrize("compression", [False, "lz4"])
@pytest.mark.parametrize("type_name", VALUES)
def test_values_of_a_type_come_back_as_they_were_sent(server, table, type_name, compression):
    name = table(f"n UInt8, v {type_name}, last UInt8")
    rows = [(n, value, 7) for n, value in enumerate(VALUES[type_name])]
    with server.client(database="silverquant", compression=compression) as client:
        client.execute(f"INSERT INTO {name} VALUES", list(rows))
        assert client.execute(f"SELECT * FROM {name} ORDER BY n") == rows


@pytest.mark.parametrize("type_name", VALUES_OF_EMPTY_ARRAYS)
def test_a_block_of_empty_arrays_has_its_end_found(client, table, type_name):
    name = table(f"v {type_name}, last UInt8")
    rows = [(value, 7) for value in VALUES_OF_EMPTY_ARRAYS[type_name]]
    client.execute(f"INSERT INTO {name} VALUES", list(rows))
    assert client.execute(f"SELECT * FROM {name}") == rows


def test_moments_keep_their_instant_and_their_zone(client, table):
    name = table(
        "plain DateTime, utc DateTime('UTC'), milli DateTime64(3, 'Asia/Shanghai'), "
        "nano DateTime64(9, 'America/New_York')"
    )
    moment = datetime(2026, 11, 22, 9, 30, 1, 250_000, tzinfo=SHANGHAI)
    client.execute(f"INSERT INTO {name} VALUES", [(moment, moment, moment, moment)])
    [(plain, utc, milli, nano)] = client.execute(f"SELECT * FROM {name}")
    assert plain == datetime(2026, 11, 22, 9, 30, 1)  # noqa: DTZ001 - the server's zone
    assert utc == moment.replace(microsecond=0)
    assert milli == moment
    assert milli.utcoffset() == timedelta(hours=8)
    assert nano == moment


def test_the_zone_of_a_moment_is_kept_in_every_block_of_a_long_answer(client):
    ask = "SELECT toDateTime(number, 'UTC') AS t, toString(number) AS s FROM numbers(200000)"
    rows, columns = client.execute(ask, with_column_types=True)
    assert columns[0] == ("t", "DateTime('UTC')")
    assert rows[0] == (datetime(1970, 1, 1, tzinfo=UTC), "0")
    assert rows[-1] == (datetime.fromtimestamp(199_999, UTC), "199999")


def test_the_server_lives_in_shanghai(client):
    [(zone, hour)] = client.execute("SELECT timezone(), toHour(toDateTime(0))")
    assert (zone, hour) == ("Asia/Shanghai", 8)
    [(now,)] = client.execute("SELECT now('UTC')")
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_columns_of_unknown_layout_can_be_selected(client, table):
    name = table("id UInt8, j JSON")
    client.execute(f"""INSERT INTO {name} VALUES (1, '{{"a": 5}}')""")
    assert client.execute(f"SELECT id, j FROM {name}") == [(1, {"a": 5})]
