"""External tables: rows a client sends along with a query, for that query only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from chdb_server.arrivals import Arrivals
from chdb_server.channel import Channel, expect
from chdb_server.engine import Link
from chdb_server.errors import QueryError
from chdb_server.packets import FromClient
from chdb_server.statements import quoted

logger = logging.getLogger(__name__)


class ExternalTables:
    """Tables received but not yet known to the engine; a context that forgets them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tables: dict[str, Arrivals] = {}
        self._files = ExitStack()

    def __enter__(self) -> ExternalTables:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def receive(self, channel: Channel) -> None:
        """Take blocks up to the one without columns, which follows every query."""
        while expect(channel.next_kind(), FromClient.DATA) is FromClient.DATA:
            name = channel.read_table_name()
            arrivals = self._tables.get(name) or Arrivals(self._link.inbox)
            header = channel.read_block(arrivals)
            if header.is_end:
                return
            self._keep(name, arrivals)
            arrivals.add(header)

    @contextmanager
    def created(self) -> Iterator[None]:
        """Let the engine see the tables while a query runs."""
        with ExitStack() as created:
            for name, arrivals in self._tables.items():
                table = quoted(name)
                self._link.run(f"CREATE TEMPORARY TABLE {table} ({arrivals.structure()})")
                created.callback(self._drop, table)
                self._link.run(f"INSERT INTO {table} {arrivals.query()}")
            yield

    def _drop(self, table: str) -> None:
        """Forget a table; by now the client has its answer and can hear of no error."""
        try:
            self._link.run(f"DROP TEMPORARY TABLE IF EXISTS {table}")
        except QueryError:
            logger.exception("cannot drop an external table")

    def _keep(self, name: str, arrivals: Arrivals) -> None:
        if name not in self._tables:
            self._tables[name] = self._files.enter_context(arrivals)
