from __future__ import annotations

import signal
import socket
import threading
import time

import pytest
from clickhouse_driver.errors import ServerException

from tests.chdb_server.serving import ServerProcess, run_to_the_end
from tests.servers import free_port
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def own_server(tmp_path):
    running = ServerProcess(tmp_path / "data")
    yield running
    running.process.kill()
    running.process.communicate()


def test_acknowledged_rows_survive_a_kill(own_server):
    client = own_server.client(database="silverquant")
    client.execute("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    acknowledged = 0
    for restart in range(3):
        for _ in range(5):
            acknowledged += client.execute("INSERT INTO t VALUES", [(i,) for i in range(10)])
        own_server.kill()
        own_server.start()
        client = own_server.client(database="silverquant")
        assert client.execute("SELECT count() FROM t") == [(acknowledged,)], restart


def test_inserts_are_synced_to_disk_unless_told_otherwise(own_server):
    client = own_server.client()
    names = "('fsync_after_insert', 'fsync_part_directory')"
    ask = f"SELECT value FROM system.merge_tree_settings WHERE name IN {names}"
    assert client.execute(ask) == [("1",), ("1",)]


def test_a_termination_lets_the_running_statement_end(own_server):
    client = own_server.client()
    answers = []
    ask = "SELECT sleepEachRow(0.1) FROM numbers(10)"
    running = threading.Thread(target=lambda: answers.append(client.execute(ask)))
    running.start()
    idle = own_server.client()
    idle.execute("SELECT 1")
    wait_for(lambda: own_server.statements("sleepEachRow"))
    status, log = own_server.terminate()
    running.join()
    assert status == 0
    assert len(answers[0]) == 10
    assert "Traceback" not in log


def test_a_termination_does_not_wait_for_ever(own_server):
    client = own_server.client()
    client.execute("SELECT 1")
    client.connection.send_query("SELECT count() FROM system.numbers WHERE sipHash64(number) = 3")
    client.connection.send_external_tables(None)
    wait_for(lambda: own_server.statements("sipHash64(number) = 3"))
    start = time.monotonic()
    status, _ = own_server.terminate()
    assert status == 0
    assert time.monotonic() - start > 4


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heeded_however_early_it_comes(tmp_path, how):
    starting = ServerProcess(tmp_path / "data", "--no-fsync", is_awaited=False)
    # The data are locked: it is past the options and opens its engine.
    wait_for(lambda: (tmp_path / "data" / "status").exists())
    status, log = starting.terminate(how)
    assert (status, "stopping" in log, "Traceback" in log) == (0, True, False)


def test_a_second_server_on_the_same_directory_says_so_in_one_line(server):
    second = run_to_the_end(server.path, free_port())
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "another process has it open" in second.stderr


def test_a_busy_port_is_said_in_one_line(server, tmp_path):
    second = run_to_the_end(tmp_path / "data", server.port)
    assert second.returncode == 1
    assert second.stderr == (
        f"chdb_server: cannot listen on 127.0.0.1 port {server.port}: Address already in use\n"
    )


@pytest.mark.parametrize("options", [("--max-memory", "much"), ("--port", "70000")])
def test_a_wrong_option_is_a_usage_error(tmp_path, options):
    assert run_to_the_end(tmp_path, free_port(), *options).returncode == 2


def test_a_missing_engine_is_said_in_one_line(tmp_path):
    absent = tmp_path / "chdb.py"
    absent.write_text("raise ModuleNotFoundError(\"No module named 'chdb'\")")
    result = run_to_the_end(tmp_path / "data", free_port(), PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == "chdb_server: chdb is not installed: No module named 'chdb'\n"


def test_only_the_right_user_and_password_get_in(tmp_path):
    secrets = {"CHDB_SERVER_USER": "trader", "CHDB_SERVER_PASSWORD": "密码"}
    guarded = ServerProcess(tmp_path / "data", "--no-fsync", "--max-connections", "2", **secrets)
    try:
        client = guarded.client(user="trader", password="密码")
        _check_limit(guarded, client)
        for user, password in (("trader", "wrong"), ("other", "密码"), ("default", "")):
            assert _refusal(guarded, user, password) == 516
    finally:
        guarded.kill()


def _check_limit(guarded, first):
    assert first.execute("SELECT 1") == [(1,)]
    second = guarded.client(user="trader", password="密码")
    second.execute("SELECT 1")
    assert _error_code(guarded.client()) == 203
    second.disconnect()
    assert first.execute("SELECT 1") == [(1,)]


def _refusal(guarded, user, password):
    """The error of a login, once the server has counted the connections that ended before it."""
    deadline = time.monotonic() + PATIENCE
    while (code := _error_code(guarded.client(user=user, password=password))) == 203:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return code


def _error_code(client):
    with pytest.raises(ServerException) as caught:
        client.execute("SELECT 1")
    return caught.value.code


@pytest.mark.parametrize(
    "nonsense",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\x00" + b"\xff" * 20, b"\x00\x05abc", b""],
)
def test_nonsense_closes_only_its_own_connection(server, client, nonsense):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(nonsense)
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""
    assert client.execute("SELECT 1") == [(1,)]


def test_nonsense_after_the_hello_closes_the_connection(server, client):
    broken = server.client()
    broken.execute("SELECT 1")
    broken.connection.socket.sendall(b"\x02\x00\x01")
    assert broken.connection.socket.recv(1) == b""
    assert client.execute("SELECT 1") == [(1,)]
