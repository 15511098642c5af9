from __future__ import annotations

import pytest
from clickhouse_driver.errors import ServerException


def test_fifty_thousand_rows_arrive(client, table):
    name = table("id UInt64, code LowCardinality(String), price Decimal(9, 3)")
    rows = [(i, f"{i % 5000:06}.SZ", i) for i in range(50_000)]
    assert client.execute(f"INSERT INTO {name} VALUES", rows) == 50_000
    total = client.execute(f"SELECT count(), sum(id), uniqExact(code) FROM {name}")
    assert total == [(50_000, sum(range(50_000)), 5000)]


def test_an_insert_of_many_blocks_is_one_insert(client, table):
    name = table("id UInt64, s String")
    rows = ((i, str(i)) for i in range(100_000))
    client.execute(f"INSERT INTO {name} VALUES", rows, settings={"insert_block_size": 1000})
    assert client.execute(f"SELECT count(), max(length(s)) FROM {name}") == [(100_000, 5)]
    parts = f"SELECT count() FROM system.parts WHERE table = '{name}'"
    assert client.execute(parts) == [(1,)]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO {} (b, a) VALUES",
        "insert into {} (b, a) values ;",
        "INSERT INTO {} (b, a) FORMAT Native",
        "INSERT INTO {} (b, a)",
        "INSERT INTO {} (b, a) SETTINGS max_threads = 1, log_queries = 0 VALUES",
        '/* VALUES (1) */ INSERT INTO silverquant.{} -- (a)\n (`b`, "a") VALUES -- rows',
        "INSERT INTO TABLE {} (b, a) SETTINGS format_csv_delimiter = '|' FORMAT Values",
    ],
)
def test_rows_follow_the_column_list_however_the_insert_is_written(client, table, text):
    name = table("a UInt8, c UInt8 DEFAULT 9, b String")
    client.execute(text.format(name), [("x", 1), ("y", 2)])
    assert client.execute(f"SELECT a, b, c FROM {name} ORDER BY a") == [(1, "x", 9), (2, "y", 9)]


def test_computed_columns_are_not_asked_for(client, table):
    name = table("a UInt8, m UInt8 MATERIALIZED a + 1, l UInt8 ALIAS a + 2, e UInt8 EPHEMERAL 3")
    client.execute(f"INSERT INTO {name} VALUES", [(1,)])
    client.execute(f"INSERT INTO {name} (* EXCEPT(e)) VALUES", [(2,)])
    rows = client.execute(f"SELECT a, m, l FROM {name} ORDER BY a")
    assert rows == [(1, 2, 3), (2, 3, 4)]


def test_columns_with_odd_names_are_filled(client, table):
    name = table("`we``ird \\\\ 'name'` UInt8, `n.a` Array(UInt8), `n.b` Array(String)")
    client.execute(f"INSERT INTO {name} VALUES", [(1, [1, 2], ["x", "y"])])
    client.execute(f"INSERT INTO {name} (n.b, n.a) VALUES", [(["z"], [3])])
    assert client.execute(f"SELECT n.a, n.b FROM {name} ORDER BY n.a[1]") == [
        ([1, 2], ["x", "y"]),
        ([3], ["z"]),
    ]


def test_values_in_the_text_and_selects_are_inserted_by_the_engine(client, table):
    name = table("a UInt8, b String")
    client.execute(f"INSERT INTO {name} VALUES (1, 'FORMAT x'), (2, '; VALUES')")
    client.execute(f"INSERT INTO {name} SELECT a + 2, b FROM {name}")
    assert client.execute(f"SELECT count(), sum(a) FROM {name}") == [(4, 10)]


def test_an_insert_without_rows_is_no_error(client, table):
    name = table("a UInt8")
    assert client.execute(f"INSERT INTO {name} VALUES", []) == 0
    assert client.execute(f"SELECT count() FROM {name}") == [(0,)]


def test_a_function_can_be_written_to(client):
    client.execute("INSERT INTO FUNCTION null('a UInt8, b String') VALUES", [(1, "x")])


def test_materialized_views_see_inserted_rows(client, table):
    source, target = table("a UInt8"), table("a UInt16")
    client.execute(
        f"CREATE MATERIALIZED VIEW {source}_v TO {target} AS SELECT a * 2 AS a FROM {source}"
    )
    client.execute(f"INSERT INTO {source} VALUES", [(1,), (200,)])
    assert client.execute(f"SELECT sum(a) FROM {target}") == [(402,)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("INSERT INTO no_such_table VALUES", 60),
        ("INSERT INTO {} (no_such_column) VALUES", 16),
        ("INSERT INTO {} (a) SETTINGS no_such_setting = 1 VALUES", 115),
    ],
)
def test_an_insert_that_cannot_be_is_refused(client, table, text, code):
    name = table("a UInt8")
    with pytest.raises(ServerException) as caught:
        client.execute(text.format(name), [(1,)])
    assert caught.value.code == code


def test_rows_the_table_refuses_are_an_error_and_leave_the_connection_in_step(client, table):
    name = table("id UInt64, CONSTRAINT small CHECK id < 90000")
    client.execute("CREATE TEMPORARY TABLE mine (x UInt8)")
    connection = client.connection
    with pytest.raises(ServerException) as caught:
        _insert_without_hanging_up(client, name, ((i,) for i in range(100_000)))
    assert caught.value.code == 469
    assert client.connection is connection
    assert client.execute("EXISTS TEMPORARY TABLE mine") == [(1,)]
    assert client.execute(f"SELECT count() FROM {name}") == [(0,)]


def _insert_without_hanging_up(client, name, rows):
    connection = client.connection
    connection.send_query(f"INSERT INTO {name} VALUES")
    connection.send_external_tables(None)
    sample = client.receive_sample_block()
    client.send_data(sample, rows)
    try:
        while (packet := connection.receive_packet()).exception is None:
            pass
    finally:
        connection.is_query_executing = False
    raise packet.exception


def test_types_that_cannot_be_sent_are_refused_before_the_rows(client, table):
    name = table("j JSON")
    with pytest.raises(ServerException) as caught:
        client.execute(f"INSERT INTO {name} VALUES", [({"a": 1},)])
    assert caught.value.code == 48
