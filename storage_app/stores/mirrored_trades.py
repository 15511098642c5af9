"""The ledger of hybrid mode: the journal first, ClickHouse and the CSV files in the background.

A trade is acknowledged when the journal has it; no call of a trading thread waits for a server.
The background sends blocks to ClickHouse and lines to the files. Queries wait a moment for what
is on its way and add what still is, so that a caller sees what it wrote.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final

from storage_app.contract.errors import Conflict, Unavailable
from storage_app.contract.positions import kept_since
from storage_app.contract.roles import TradeLedger
from storage_app.contract.types import Trade, WriteCount
from storage_app.stores import trade_entries, trade_rows
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.conflicts import record_conflict
from storage_app.stores.fallback import Mirrored, Switches
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.journal import MIRROR, PRIMARY, Entry
from storage_app.stores.outbox import Outbox
from storage_app.stores.recent_trades import RecentTrades
from trades_app.market import clock

logger = logging.getLogger(__name__)

# How long a query waits for trades that are on their way to the server.
SETTLE_SECONDS: Final = 0.25
SUM_SETTLE_SECONDS: Final = 2.0
_BLOCK_ENTRIES: Final = 500

TRADER: Final = "trader"

Row = dict[str, Any]
_in_time: Any = itemgetter("trade_date", "timestamp", "trade_uid")


class MirroredTrades(Mirrored[ClickHouseTrades, FileTrades], TradeLedger):
    """See `mirror.py` for what the two switches do."""

    def __init__(
        self, primary: ClickHouseTrades, mirror: FileTrades, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        self._recent: RecentTrades = outbox.shared(
            "recent trades", lambda: RecentTrades(mirror, outbox.look)
        )
        outbox.observe(trade_entries.KIND, self._recent.note)
        outbox.register(trade_entries.KIND, PRIMARY, self._send)
        outbox.register(trade_entries.KIND, MIRROR, self._mirror)
        outbox.register(trade_entries.CONFLICT, PRIMARY, _store_conflicts)

    def write_trades(self, trades: Sequence[Trade]) -> WriteCount:
        """Journal the trades that are new.

        A batch with trades of other sources, or from before the last seven trading days, is an
        import: it is written to the server at once and raises Unavailable while that is down.
        """
        wanted = [trade_rows.normalised(trade) for trade in trades]
        since = kept_since(clock.today())
        if any(trade.trade_date < since or trade.source != TRADER for trade in wanted):
            return self._write_through(wanted)
        return self._journal(wanted)

    def _record(self, trade: Trade) -> None:
        self._journal([trade_rows.normalised(trade)])

    def find_trade(self, trade: Trade) -> Trade | None:
        """Return what is recorded under the uid of a recent trade."""
        self.outbox.look()
        with self._recent.writing:
            return self._recent.find([trade], kept_since(clock.today())).get(trade.trade_uid)

    def _journal(self, wanted: list[Trade]) -> WriteCount:
        with self._recent.writing:
            stored = self._recent.find(wanted, kept_since(clock.today()))
            new = trade_rows.select_new(wanted, stored)
            for part in _parts(new):
                self._append(part, is_stored=False)
            self._recent.add(new)
        return WriteCount(new=len(new), same=len(wanted) - len(new))

    def query_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        wanted = (account_id, start_date, end_date, code, strategy_name)
        pending = _matching(self._settle(SETTLE_SECONDS), *wanted)

        def from_primary() -> list[Row]:
            return _newest(self.primary.query_trades(*wanted, limit), pending, limit)

        def from_mirror() -> list[Row]:
            self._catch_up()
            return self.mirror.query_trades(*wanted, limit)

        return self.read(from_primary, from_mirror)

    def iter_trades(
        self,
        account_id: str,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        code: str | None = None,
        strategy_name: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        wanted = (account_id, start_date, end_date, code, strategy_name)
        pending = _matching(self._settle(SETTLE_SECONDS), *wanted)

        def from_primary() -> Iterator[Row]:
            return _begun(_oldest(self.primary.iter_trades(*wanted), pending))

        def from_mirror() -> Iterator[Row]:
            self._catch_up()
            return self.mirror.iter_trades(*wanted)

        yield from self.read(from_primary, from_mirror)

    def aggregate_trades(
        self,
        account_id: str | None,
        start_date: date | str,
        end_date: date | str,
        group_by: str = "month",
    ) -> list[dict[str, Any]]:
        wanted = (account_id, start_date, end_date, group_by)

        def from_primary() -> list[Row]:
            pending = self._settle(SUM_SETTLE_SECONDS)
            if pending:
                reason = f"{len(pending)} trades are still on their way"
                raise Unavailable(self.component, reason)
            return self.breaker.call(self.primary.aggregate_trades, *wanted)

        def from_mirror() -> list[Row]:
            self._catch_up()
            return self.mirror.aggregate_trades(*wanted)

        try:
            # Not behind the breaker as a whole, since trades on their way are no outage.
            return from_primary()
        except Unavailable:
            if not self.switches.may_fall_back:
                raise
        return from_mirror()

    def _append(self, trades: Sequence[Trade], *, is_stored: bool) -> None:
        body = [trade_entries.to_body(trade) for trade in trades]
        marks = (is_stored, not self.switches.dual_write)
        self.outbox.append(trade_entries.KIND, body, marks=marks)

    def _write_through(self, trades: list[Trade]) -> WriteCount:
        self._settle(SUM_SETTLE_SECONDS)
        count = self.breaker.call(self.primary.write_trades, trades)
        if self.switches.dual_write:
            for part in _parts(trades):
                self._append(part, is_stored=True)
        return count

    def _settle(self, timeout: float) -> list[Trade]:
        """Return the trades that the server does not have yet, after waiting a moment."""
        wait = 0.0 if self.breaker.is_open else timeout
        entries = self.outbox.settle(trade_entries.KIND, PRIMARY, wait)
        return list(chain.from_iterable(map(trade_entries.trades_of, entries)))

    def _catch_up(self) -> None:
        """Bring the files up to the last entry of the journal."""
        pending = self.outbox.owed(trade_entries.KIND, MIRROR)
        for done in self._mirror(pending):
            self.outbox.journal.mark(done, MIRROR)

    def _send(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for block in _blocks(entries):
            trades = list(chain.from_iterable(map(trade_entries.trades_of, block)))
            try:
                self.breaker.call(self.primary.write_trades, trades)
            except Conflict:
                self._send_one_by_one(trades)
            yield block

    def _send_one_by_one(self, trades: list[Trade]) -> None:
        """Store what can be stored; what contradicts the ledger is left to a person."""
        for trade in trades:
            try:
                self.breaker.call(self.primary.write_trades, [trade])
            except Conflict as exc:
                logger.error(  # noqa: TRY400, the trace says no more
                    "Trade %s of account %s is left for a person to decide: %s",
                    trade.trade_uid,
                    trade.account_id,
                    exc,
                )
                body = [trade_entries.to_body(trade), str(exc)]
                self.outbox.append(trade_entries.CONFLICT, body, marks=(False, True))

    def _mirror(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for block in _blocks(entries):
            trades = list(chain.from_iterable(map(trade_entries.trades_of, block)))
            try:
                self.mirror.write_trades(trades)
            except Conflict:
                self._mirror_one_by_one(trades)
            yield block

    def _mirror_one_by_one(self, trades: list[Trade]) -> None:
        for trade in trades:
            try:
                self.mirror.write_trades([trade])
            except Conflict as exc:
                logger.warning("The files keep their own version of a trade: %s", exc)


def _store_conflicts(entries: list[Entry]) -> Iterator[list[Entry]]:
    for entry in entries:
        body, reason = entry.body
        record_conflict(trade_entries.to_trade(body), reason)
        yield [entry]


def _parts(trades: Sequence[Trade]) -> Iterator[Sequence[Trade]]:
    for start in range(0, len(trades), trade_entries.LARGEST):
        yield trades[start : start + trade_entries.LARGEST]


def _blocks(entries: list[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while block := list(islice(rest, _BLOCK_ENTRIES)):
        yield block


def _matching(
    trades: Iterable[Trade],
    account_id: str,
    start_date: date | str | None,
    end_date: date | str | None,
    code: str | None,
    strategy_name: str | None,
) -> list[Row]:
    start = None if start_date is None else clock.parse_date(start_date)
    end = None if end_date is None else clock.parse_date(end_date)
    return [
        trade_rows.as_dict(trade)
        for trade in trades
        if trade.account_id == account_id
        and (start is None or trade.trade_date >= start)
        and (end is None or trade.trade_date <= end)
        and (code is None or trade.code == code)
        and (strategy_name is None or trade.strategy_name == strategy_name)
    ]


def _newest(stored: list[Row], pending: list[Row], limit: int) -> list[Row]:
    """Return both, newest first; what arrived in the meantime counts once."""
    if not pending:
        return stored
    rows = {row["trade_uid"]: row for row in chain(pending, stored)}
    return sorted(rows.values(), key=_in_time, reverse=True)[:limit]


def _oldest(stored: Iterator[Row], pending: list[Row]) -> Iterator[Row]:
    last = ""
    for row in heapq.merge(stored, sorted(pending, key=_in_time), key=_in_time):
        if row["trade_uid"] != last:
            yield row
        last = row["trade_uid"]


def _begun(rows: Iterator[Row]) -> Iterator[Row]:
    """Ask for the first row at once, so that a server that is down is noticed here."""
    return chain(list(islice(rows, 1)), rows)
