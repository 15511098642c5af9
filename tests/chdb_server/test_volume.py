from __future__ import annotations

import sys
from subprocess import PIPE, Popen

import numpy as np
import pytest
from clickhouse_driver.errors import ServerException

from tests.waiting import wait_for

MILLION = 1_000_000
NUMBERS = f"SELECT number AS n, number / 2 AS half FROM numbers({MILLION})"


def test_a_million_rows_are_streamed(client):
    total = count = 0
    for n, _ in client.execute_iter(NUMBERS):
        total, count = total + n, count + 1
    assert (count, total) == (MILLION, MILLION * (MILLION - 1) // 2)


def test_a_million_rows_arrive_as_arrays(server):
    with server.client(settings={"use_numpy": True}) as client:
        n, half = client.execute(NUMBERS, columnar=True)
    assert np.array_equal(n, np.arange(MILLION, dtype="uint64"))
    assert half.sum() == n.sum() / 2


def test_a_data_frame_arrives_with_its_columns(server):
    with server.client(settings={"use_numpy": True}) as client:
        frame = client.query_dataframe("SELECT number AS n, toString(number) AS s FROM numbers(9)")
        empty = client.query_dataframe("SELECT 1 AS n, 'x' AS s WHERE 0")
    assert list(frame.columns) == list(empty.columns) == ["n", "s"]
    assert frame["n"].sum() == 36
    assert list(frame["s"])[-1] == "8"
    assert len(empty) == 0


@pytest.mark.parametrize("compression", ["lz4", "lz4hc", "zstd"])
def test_compressed_blocks_pass_both_ways(server, table, compression):
    name = table("id UInt64, s String")
    rows = [(i, f"row {i} " * 20) for i in range(20_000)]
    with server.client(database="silverquant", compression=compression) as client:
        client.execute(f"INSERT INTO {name} VALUES", rows)
        assert client.execute(f"SELECT * FROM {name} ORDER BY id") == rows


def test_a_stream_that_is_cancelled_ends_and_the_connection_goes_on(client):
    client.execute("CREATE TEMPORARY TABLE mine (x UInt8)")
    rows = client.execute_iter("SELECT number FROM system.numbers")
    assert next(rows) == (0,)
    client.cancel()
    assert client.execute("EXISTS TEMPORARY TABLE mine") == [(1,)]


def test_a_statement_that_computes_without_end_can_be_cancelled(server, client):
    endless = "SELECT count() FROM system.numbers WHERE sipHash64(number) = 1"
    progress = client.execute("SELECT 1") and client.connection
    progress.send_query(endless)
    progress.send_external_tables(None)
    wait_for(lambda: server.statements("sipHash64(number) = 1"))
    client.cancel()
    assert client.execute("SELECT 1") == [(1,)]
    assert not server.statements("sipHash64(number) = 1")


def test_a_statement_nobody_waits_for_is_stopped(server):
    client = server.client()
    client.execute("SELECT 1")
    client.connection.send_query("SELECT count() FROM system.numbers WHERE sipHash64(number) = 2")
    client.connection.send_external_tables(None)
    wait_for(lambda: server.statements("sipHash64(number) = 2"))
    client.disconnect()
    wait_for(lambda: not server.statements("sipHash64(number) = 2"))


WRITER = """
import sys
from clickhouse_driver import Client
port, table, worker = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = Client("127.0.0.1", port=port, database="silverquant")
for batch in range(20):
    rows = [(worker, batch * 100 + i) for i in range(100)]
    client.execute(f"INSERT INTO {table} VALUES", rows)
    mine = client.execute(f"SELECT count() FROM {table} WHERE worker = %(w)s", {"w": worker})
    assert mine == [((batch + 1) * 100,)], mine
"""


def test_eight_processes_write_and_read_at_once(server, client, table):
    name = table("worker UInt8, n UInt32")
    workers = [
        Popen([sys.executable, "-c", WRITER, str(server.port), name, str(i)], stderr=PIPE)
        for i in range(8)
    ]
    errors = [worker.communicate(timeout=200)[1] for worker in workers]
    assert errors == [b""] * 8
    per_worker = client.execute(
        f"SELECT worker, count(), uniqExact(n), sum(n) FROM {name} GROUP BY worker ORDER BY worker"
    )
    assert per_worker == [(i, 2000, 2000, sum(range(2000))) for i in range(8)]


def test_a_client_that_dies_while_sending_rows_leaves_none(server, client, table):
    name = table("id UInt64")
    dying = server.client(database="silverquant")
    dying.execute("SELECT 1")
    dying.connection.send_query(f"INSERT INTO {name} VALUES")
    dying.connection.send_external_tables(None)
    sample = dying.receive_sample_block()
    dying.connection.send_data(type(sample)(sample.columns_with_types, [tuple(range(5000))]))
    wait_for(lambda: list((server.path / "inbox").iterdir()))
    dying.disconnect()
    wait_for(lambda: not list((server.path / "inbox").iterdir()))
    assert client.execute(f"SELECT count() FROM {name}") == [(0,)]


def test_a_query_beyond_the_memory_limit_is_an_error_only_for_itself(client):
    with pytest.raises(ServerException) as caught:
        client.execute(
            "SELECT groupArray(number) FROM numbers(10000000)",
            settings={"max_memory_usage": 10_000_000},
        )
    assert caught.value.code == 241
    assert client.execute("SELECT 1") == [(1,)]
