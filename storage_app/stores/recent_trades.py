"""The trades of the last seven trading days in memory, to know at once what is recorded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from storage_app.contract.errors import StorageError
from storage_app.contract.types import Trade
from storage_app.stores import trade_entries
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.forking import renew_after_fork
from storage_app.stores.journal import Entry

logger = logging.getLogger(__name__)


class RecentTrades:
    """What this process wrote, what the journal tells of others, and what the files hold.

    Others are heard of within a second; what contradicts them before is found by the writer.
    """

    def __init__(self, mirror: FileTrades, look: Callable[[], None]) -> None:
        self._mirror = mirror
        self._look = look
        self._known: dict[str, Trade] = {}
        self._accounts: set[str] = set()
        self._since: date | None = None
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        # Held from looking for a trade until it is journalled.
        self.writing = threading.Lock()
        self._lock = threading.Lock()

    def find(self, trades: Sequence[Trade], since: date) -> dict[str, Trade]:
        """Return the known trades that have the uids of these."""
        self._forget_before(since)
        for account_id in {trade.account_id for trade in trades} - self._accounts:
            # What the journal has at this moment is in the files or met here.
            self._look()
            self._add_files(account_id, since)
            self._accounts.add(account_id)
        uids = {trade.trade_uid for trade in trades}
        return {uid: self._known[uid] for uid in uids & self._known.keys()}

    def add(self, trades: Iterable[Trade]) -> None:
        with self._lock:
            for trade in trades:
                # The first one stands; a later one that differs is a conflict.
                self._known.setdefault(trade.trade_uid, trade)

    def _add_files(self, account_id: str, since: date) -> None:
        try:
            self.add(self._mirror.read_since(account_id, since))
        except StorageError:
            # No reason to refuse a trade: the ledger compares it once more.
            logger.exception("The files of account %s cannot be read", account_id)

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
