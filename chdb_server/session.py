"""One client from its hello to its leaving."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from chdb_server import packets
from chdb_server.answers import answer
from chdb_server.channel import Channel, expect
from chdb_server.engine import Engine, Link
from chdb_server.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    QUERY_WAS_CANCELLED,
    MalformedPacket,
    PeerGone,
    QueryError,
    query_error,
)
from chdb_server.external import ExternalTables
from chdb_server.insert_text import insert_of_blocks
from chdb_server.inserts import insert
from chdb_server.packets import FromClient, Hello, Query
from chdb_server.settings import QuerySettings, check_readonly
from chdb_server.statements import quoted
from chdb_server.watch import Watch

logger = logging.getLogger(__name__)

_HELLO_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may connect; None asks for nothing."""

    user: str | None = None
    password: str | None = None

    def admit(self, hello: Hello) -> bool:
        """Compare in constant time, and the password whatever the user."""
        user_fits = _same(self.user, hello.user)
        return _same(self.password, hello.password) and user_fits


def _same(expected: str | None, given: str) -> bool:
    if expected is None:
        return True
    first, second = (t.encode("utf-8", "surrogateescape") for t in (expected, given))
    return hmac.compare_digest(first, second)


@dataclass(frozen=True, slots=True)
class Host:
    """What all sessions of one server share."""

    engine: Engine
    watch: Watch
    version: packets.ServerVersion
    timezone: str
    credentials: Credentials


class Session:
    """Serves one channel in the calling thread; `finish` may come from another."""

    def __init__(self, channel: Channel, host: Host) -> None:
        self._channel = channel
        self._host = host
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_finishing = False

    def serve(self, refusal: QueryError | None = None) -> None:
        """Answer packets until the client leaves; a refusal is all a client gets."""
        try:
            with closing(self._channel):
                self._welcome(refusal)
        except PeerGone:
            logger.debug("a client left")
        except MalformedPacket as error:
            logger.warning("closing a connection that sent %s", error)

    def finish(self) -> None:
        """End after the statement that runs now, at once if none does."""
        with self._lock:
            self._is_finishing = True
            if not self._is_busy:
                self._channel.hang_up()

    def _welcome(self, refusal: QueryError | None) -> None:
        try:
            hello = self._read_hello()
            if refusal is not None:
                raise refusal
            self._admit(hello)
            link = self._host.engine.connect()
        except QueryError as error:
            self._channel.send(packets.exception(error))
            return
        with closing(link):
            self._converse(link, hello.database)

    def _read_hello(self) -> Hello:
        expect(self._channel.next_kind(_HELLO_WITHIN), FromClient.HELLO)
        return packets.read_hello(self._channel.inflow)

    def _admit(self, hello: Hello) -> None:
        if not self._host.credentials.admit(hello):
            text = f"{hello.user}: Authentication failed: password or user is incorrect"
            raise query_error(AUTHENTICATION_FAILED, text, "AUTHENTICATION_FAILED")
        if hello.revision < packets.OLDEST_CLIENT:
            text = f"Client revision {hello.revision} is older than {packets.OLDEST_CLIENT}"
            raise query_error(BAD_ARGUMENTS, text, "BAD_ARGUMENTS")

    def _converse(self, link: Link, database: str) -> None:
        try:
            if database:
                link.run(f"USE {quoted(database)}")
        except QueryError as error:
            self._channel.send(packets.exception(error))
            return
        self._channel.send(packets.hello(self._host.version, self._host.timezone))
        settings = QuerySettings(link)
        while not self._is_finishing:
            self._react(self._channel.next_kind(), link, settings)

    def _react(self, kind: int, link: Link, settings: QuerySettings) -> None:
        kind = expect(kind, FromClient.QUERY, FromClient.PING, FromClient.CANCEL)
        if kind is FromClient.PING:
            self._channel.send(packets.PONG)
        elif kind is FromClient.QUERY:
            with self._busy():
                self._query(link, settings)
        # A cancel that comes here was meant for a statement that has ended.

    @contextmanager
    def _busy(self) -> Iterator[None]:
        with self._lock:
            self._is_busy = True
        try:
            yield
        finally:
            with self._lock:
                self._is_busy = False

    def _query(self, link: Link, settings: QuerySettings) -> None:
        query = self._channel.read_query()
        with ExternalTables(link) as tables:
            tables.receive(self._channel)
            try:
                check_readonly(query)
                settings.apply(query.settings)
                with tables.created():
                    self._execute(query, link)
            except QueryError as error:
                self._report(error)
            else:
                settings.remember(query.text)

    def _execute(self, query: Query, link: Link) -> None:
        statement = insert_of_blocks(query.text)
        if statement is not None:
            insert(link, self._channel, statement)
            return
        with self._host.watch.over(self._channel, link.tag):
            answer(link, self._channel, query.text)

    def _report(self, error: QueryError) -> None:
        """Tell the client, unless it ended the statement itself."""
        if error.code == QUERY_WAS_CANCELLED and self._channel.take_cancel():
            self._channel.send(packets.END_OF_STREAM)
        else:
            self._channel.send(packets.exception(error))
