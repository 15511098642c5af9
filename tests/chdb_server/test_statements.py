from __future__ import annotations

import pytest
from clickhouse_driver.errors import ErrorCodes, ServerException


def error_of(client, statement, *arguments, **options):
    with pytest.raises(ServerException) as caught:
        client.execute(statement, *arguments, **options)
    return caught.value


@pytest.mark.parametrize(
    ("statement", "code", "symbol"),
    [
        ("SELECT * FROM no_such_table", ErrorCodes.UNKNOWN_TABLE, "UNKNOWN_TABLE"),
        ("SELEC 1", ErrorCodes.SYNTAX_ERROR, "SYNTAX_ERROR"),
        ("SELECT no_such_column", 47, "UNKNOWN_IDENTIFIER"),
        ("USE no_such_database", 81, "UNKNOWN_DATABASE"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 48, "NOT_IMPLEMENTED"),
        ("SELECT throwIf(number = 100000) FROM numbers(200000)", 395, "FUNCTION_THROW_IF"),
    ],
)
def test_errors_carry_the_code_and_the_name_of_clickhouse(client, statement, code, symbol):
    error = error_of(client, statement)
    assert error.code == code
    assert error.message.startswith("DB::Exception: ")
    assert symbol in error.message


def test_a_connection_is_usable_after_an_error(client):
    connection = client.connection
    client.execute("CREATE TEMPORARY TABLE mine (x UInt8)")
    connection.send_query("SELECT * FROM no_such_table")
    connection.send_external_tables(None)
    assert connection.receive_packet().exception.code == ErrorCodes.UNKNOWN_TABLE
    connection.is_query_executing = False
    assert client.execute("EXISTS TEMPORARY TABLE mine") == [(1,)]


def test_a_database_that_does_not_exist_is_refused_at_the_hello(server):
    assert error_of(server.client(database="nowhere"), "SELECT 1").code == 81


def test_an_empty_answer_has_columns(client):
    rows, columns = client.execute(
        "SELECT number AS n, 'x' AS s FROM numbers(0) -- none", with_column_types=True
    )
    assert rows == []
    assert columns == [("n", "UInt64"), ("s", "String")]


@pytest.mark.parametrize("tail", [" FORMAT JSON", ";", " FORMAT Null ;", " -- why", ""])
def test_how_the_text_ends_does_not_matter(client, tail):
    assert client.execute(f"SELECT 1{tail}") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    ["WITH 1 AS x SELECT x", "(SELECT 1)", "FROM numbers(1) SELECT 1", "/* why */ SELECT 1"],
)
def test_every_form_of_select_is_answered(client, statement):
    assert client.execute(statement) == [(1,)]


def test_statements_that_are_no_select_are_answered_too(client, table):
    name = table("id UInt8")
    assert (name,) in client.execute("SHOW TABLES")
    assert client.execute(f"EXISTS {name}") == [(1,)]
    assert client.execute(f"DESCRIBE {name}")[0][:2] == ("id", "UInt8")
    assert client.execute(f"DROP TABLE {name}") == []
    assert client.execute(f"SHOW TABLES LIKE '{name}'") == []


def test_settings_of_a_query_end_with_it(client):
    ask = "SELECT value, changed FROM system.settings WHERE name = 'max_block_size'"
    before = client.execute(ask)
    assert client.execute(ask, settings={"max_block_size": 4321}) == [("4321", 1)]
    assert client.execute(ask) == before


def test_a_setting_goes_back_to_what_the_session_chose(client):
    ask = "SELECT getSetting('max_block_size')"
    client.execute("SET max_block_size = 1000")
    assert client.execute(ask, settings={"max_block_size": 2000}) == [(2000,)]
    assert client.execute(ask) == [(1000,)]


def test_inserts_are_not_queued_even_after_a_query_that_asked_for_it(client):
    ask = "SELECT getSetting('async_insert')"
    client.execute(ask, settings={"async_insert": 1})
    assert client.execute(ask) == [(False,)]


def test_unknown_settings_are_ignored_unless_they_are_important(server, client):
    assert client.execute("SELECT 1", settings={"no_such_setting": 1}) == [(1,)]
    strict = server.client(settings_is_important=True)
    assert error_of(strict, "SELECT 1", settings={"no_such_setting": 1}).code == 115


def test_a_readonly_query_reads_and_leaves_the_session_as_it_was(client, table):
    name = table("id UInt8")
    readonly = {"readonly": 1}
    assert client.execute(f"SELECT count() FROM {name}", settings=readonly) == [(0,)]
    assert error_of(client, f"DROP TABLE {name}", settings=readonly).code == 164
    assert error_of(client, f"INSERT INTO {name} VALUES", [(1,)], settings=readonly).code == 164
    client.execute(f"INSERT INTO {name} VALUES", [(1,)], settings={"max_block_size": 10})


def test_an_empty_statement_is_an_error(client):
    assert error_of(client, "").code == ErrorCodes.SYNTAX_ERROR
    assert client.execute("SELECT 1") == [(1,)]


def test_sessions_do_not_share_databases_settings_or_temporary_tables(server, client):
    client.execute("CREATE TEMPORARY TABLE private (x UInt8)")
    client.execute("SET max_block_size = 77")
    with server.client() as other:
        [(size, database)] = other.execute("SELECT getSetting('max_block_size'), currentDatabase()")
        assert size != 77
        assert database == "default"
        assert error_of(other, "SELECT * FROM private").code == ErrorCodes.UNKNOWN_TABLE


def test_external_tables_live_as_long_as_their_query(client):
    people = {
        "name": "people",
        "structure": [("id", "Int32"), ("name", "LowCardinality(String)")],
        "data": [(1, "甲"), (2, "乙")],
    }
    none = {"name": "nobody", "structure": [("id", "Int32")], "data": []}
    rows = client.execute(
        "SELECT name FROM people WHERE id NOT IN (SELECT id FROM nobody) ORDER BY id",
        external_tables=[people, none],
    )
    assert rows == [("甲",), ("乙",)]
    assert error_of(client, "SELECT * FROM people").code == ErrorCodes.UNKNOWN_TABLE


def test_ping_is_answered(client):
    client.execute("SELECT 1")
    assert client.connection.ping() is True


def test_progress_and_profile_are_reported(client, table):
    name = table("id UInt64")
    client.execute(f"INSERT INTO {name} SELECT number FROM numbers(100000)")
    progress = client.execute_with_progress(f"SELECT id FROM {name} WHERE id % 2 = 0")
    rows_read = max(read for read, _ in progress)
    assert 0 < rows_read <= 100_000  # the engine may keep the last increase to itself
    assert len(progress.get_result()) == 50_000
    assert client.last_query.profile_info.rows == 50_000
