"""Native ClickHouse clients, pooled per process, on the `clickhouse` database of the settings.

Django's own pool keeps one idle client and shares its sockets with forked children; this one
keeps several, hands each to one thread at a time and forgets them all after a fork. A client
finds out within half a second that its server is dead or frozen, before it sends a query.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickhouse_driver import Client, errors
from clickhouse_driver.connection import Connection
from django.db import connections

from trades_app.router import CLICKHOUSE_ALIAS

# Seconds to wait for the next bytes of an answer that a trading thread waits for.
PROMPT = 1.0
IDLE_CLIENTS = 8

# What the driver warns of it raises as well, and each probe of an outage would repeat it.
logging.getLogger("clickhouse_driver.connection").setLevel(logging.ERROR)

# Options of Django's pool; the rest of OPTIONS goes to the driver.
_POOL_OPTIONS = ("connections_min", "connections_max")
_Key = tuple[object, ...]


class _LiveConnection(Connection):  # type: ignore[misc]
    """Check the server before each query without ever waiting for it twice."""

    answer_timeout: float

    def force_connect(self) -> None:
        self.check_query_execution()
        if not self.connected or not self._answers():
            self.connect()
        self.socket.settimeout(self.answer_timeout)

    def _answers(self) -> bool:
        """Ping; False means that the server hung up, so that a new connection may do."""
        asked = time.monotonic()
        if self.ping():
            return True
        self.disconnect()
        if time.monotonic() - asked >= self.sync_request_timeout:
            raise errors.SocketTimeoutError(f"no answer within {self.sync_request_timeout} s")
        self.is_query_executing = True  # what disconnect() has just reset
        return False

    def receive_hello(self) -> None:
        # The kernel accepts connections for a frozen server, so the greeting is timed as well.
        with self.timeout_setter(self.connect_timeout):
            super().receive_hello()


class NativeClient(Client):  # type: ignore[misc]
    def __init__(self, *, settings: dict[str, Any], **options: Any) -> None:
        super().__init__(settings=settings, **options)
        self.connection = _LiveConnection(**options)
        self.connection.context.settings = self.settings
        self.connection.context.client_settings = self.client_settings


class _Pool:
    """Idle clients of one process for one database; the last one used is the first one out."""

    def __init__(self, key: _Key, parameters: dict[str, Any]) -> None:
        self.key = key
        self._parameters = parameters
        self._idle: dict[bool, deque[NativeClient]] = {True: deque(), False: deque()}

    def take(self, *, numpy: bool) -> NativeClient:
        try:
            return self._idle[numpy].pop()
        except IndexError:
            return NativeClient(settings={"use_numpy": numpy}, **self._parameters)

    def give_back(self, client: NativeClient, *, numpy: bool) -> None:
        if client.connection.is_query_executing or len(self._idle[numpy]) >= IDLE_CLIENTS:
            client.disconnect()
        if client.connection.connected:
            self._idle[numpy].append(client)

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().disconnect()


_pool: _Pool | None = None


@contextmanager
def leased(*, numpy: bool = False, answer_timeout: float | None = None) -> Iterator[NativeClient]:
    """Lend a client to the calling thread.

    `numpy` clients deal in arrays. `answer_timeout` is the longest silence to bear within an
    answer, None meaning the `send_receive_timeout` of the settings.
    """
    pool = _current_pool()
    client = pool.take(numpy=numpy)
    connection = client.connection
    connection.answer_timeout = answer_timeout or connection.send_receive_timeout
    try:
        yield client
    finally:
        pool.give_back(client, numpy=numpy)


def close_idle() -> None:
    """Close the idle clients of this process; the next lease connects anew."""
    if _pool is not None and _pool.key[0] == os.getpid():
        _pool.close()


def _current_pool() -> _Pool:
    """Return the pool of this process; a forked child leaves its parent's sockets untouched."""
    global _pool
    options = connections.settings[CLICKHOUSE_ALIAS]
    key = (os.getpid(), *(options[name] for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD")))
    pool = _pool
    if pool is None or pool.key != key:
        pool = _pool = _Pool(key, _parameters())
    return pool


def _parameters() -> dict[str, Any]:
    parameters = connections[CLICKHOUSE_ALIAS].get_connection_params()
    return {name: value for name, value in parameters.items() if name not in _POOL_OPTIONS}


def database_key() -> _Key:
    """Return what tells this process and database from others."""
    return _current_pool().key
