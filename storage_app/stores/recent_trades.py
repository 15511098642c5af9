"""The trades of the last seven trading days in memory, to know at once what is recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date

from storage_app.contract.types import Trade
from storage_app.stores import trade_entries
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.journal import Entry


class RecentTrades:
    """What this process wrote, what the journal tells of others, and what the files hold."""

    def __init__(self, mirror: FileTrades) -> None:
        self._mirror = mirror
        # Held from looking for a trade until it is journalled.
        self.writing = threading.Lock()
        self._lock = threading.Lock()
        self._known: dict[str, Trade] = {}
        self._accounts: set[str] = set()
        self._since: date | None = None

    def find(self, trades: Sequence[Trade], since: date) -> dict[str, Trade]:
        """Return the known trades that have the uids of these."""
        self._forget_before(since)
        for account_id in {trade.account_id for trade in trades} - self._accounts:
            self.add(self._mirror.read_since(account_id, since))
            self._accounts.add(account_id)
        uids = {trade.trade_uid for trade in trades}
        return {uid: self._known[uid] for uid in uids & self._known.keys()}

    def add(self, trades: Iterable[Trade]) -> None:
        with self._lock:
            for trade in trades:
                # The first one stands; a later one that differs is a conflict.
                self._known.setdefault(trade.trade_uid, trade)

    def note(self, entry: Entry) -> None:
        self.add(trade_entries.trades_of(entry))

    def _forget_before(self, since: date) -> None:
        """Drop old trades once a day; one that is written today with an old date stays for it."""
        with self._lock:
            if self._since is not None and self._since != since:
                self._known = {
                    uid: trade for uid, trade in self._known.items() if trade.trade_date >= since
                }
            self._since = since
