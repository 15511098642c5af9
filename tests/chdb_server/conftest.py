from __future__ import annotations

from itertools import count

import pytest

from tests.chdb_server.serving import ServerProcess

_numbers = count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = ServerProcess(tmp_path_factory.mktemp("clickhouse"), "--no-fsync")
    yield running
    running.terminate()


@pytest.fixture
def client(server):
    with server.client(database="silverquant") as connected:
        yield connected


@pytest.fixture
def table(client):
    """Create a MergeTree table of the given columns and return its name."""

    def create(columns, engine="MergeTree ORDER BY tuple()"):
        name = f"t{next(_numbers)}"
        client.execute(f"CREATE TABLE {name} ({columns}) ENGINE = {engine}")
        return name

    return create
