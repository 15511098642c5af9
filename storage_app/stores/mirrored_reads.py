"""Roles whose writes belong to the server alone; the files only stand in for its reads.

Nobody opens an account or saves parameters while the database is down: numbers and versions
would fork. Capital is the exception, since it comes from the broker: it is journalled, and the
newest moment wins.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol, TypeVar

from storage_app.contract.errors import Conflict, InvalidInput, NotFound, Unavailable
from storage_app.contract.roles import AccountBook, KlineStore, StrategyBook, role_methods
from storage_app.contract.types import Money
from storage_app.services.signals import book_changed
from storage_app.stores.clickhouse import ClickHouseKlines
from storage_app.stores.fallback import Mirrored, MirrorT, Part, PrimaryT, Switches
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.klines import FileKlines
from storage_app.stores.file.strategies import FileStrategies
from storage_app.stores.journal import MIRROR, PRIMARY, Entry
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from storage_app.stores.outbox import Outbox
from trades_app.market import clock

logger = logging.getLogger(__name__)

CAPITAL: Final = "capital"
SNAPSHOT_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 0.25


class MirroredReads(Mirrored[PrimaryT, MirrorT]):
    """The methods of a role: reads fall back, writes go to the server or fail."""

    role: ClassVar[type]
    reads: ClassVar[frozenset[str]]

    def __init__(
        self, primary: PrimaryT, mirror: MirrorT, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        for name in role_methods(self.role):
            if name not in vars(type(self)):
                call = self._reading(name) if name in self.reads else self._writing(name)
                setattr(self, name, call)

    def read_mirror(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the files say; Unavailable if they do not know."""
        return getattr(self.mirror, name)(*args, **kwargs)

    def prefers_mirror(self) -> bool:
        """Tell whether the server is behind the files."""
        return False

    def _reading(self, name: str) -> Callable[..., Any]:
        method = getattr(self.primary, name)

        @functools.wraps(method)
        def read(*args: Any, **kwargs: Any) -> Any:
            if self.prefers_mirror():
                return self.read_mirror(name, *args, **kwargs)
            return self.read(
                functools.partial(method, *args, **kwargs),
                functools.partial(self.read_mirror, name, *args, **kwargs),
            )

        return read

    def _writing(self, name: str) -> Callable[..., Any]:
        method = getattr(self.primary, name)

        @functools.wraps(method)
        def write(*args: Any, **kwargs: Any) -> Any:
            try:
                return self.breaker.call(method, *args, **kwargs)
            except Unavailable as exc:
                reason = f"{name} is not possible until it is back ({exc.reason})"
                raise Unavailable(self.component, reason) from exc

        return write


class MirroredKlines(MirroredReads[ClickHouseKlines, FileKlines]):
    """Bars; the tree of CSV files is refreshed by a job of its own."""

    role = KlineStore
    reads = frozenset({"get_kline", "batch_get_kline", "read_kline_frame"})

    def read_mirror(self, name: str, *args: Any, **kwargs: Any) -> Any:
        found = super().read_mirror(name, *args, **kwargs)
        frames = found.values() if isinstance(found, dict) else [found]
        if all(frame.empty for frame in frames):
            # A code without a file is one that nobody mirrored, not one without bars.
            raise Unavailable(self.component, "it is down and the files have no such bars")
        return found


class Snapshot(Part, Protocol):
    """Files that stand in for a role of the relational database."""

    def exists(self) -> bool: ...

    def renumber(self, ident: int, now: int) -> None: ...


SnapshotT = TypeVar("SnapshotT", bound=Snapshot)


class _Book(MirroredReads[PrimaryT, SnapshotT]):
    """A role in the relational database with a snapshot in files.

    The snapshot is refreshed when this process commits a change, and each half minute for what
    others change.
    """

    book: ClassVar[str]

    def __init__(
        self, primary: PrimaryT, mirror: SnapshotT, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        self._behind = threading.local()
        if switches.dual_write:
            outbox.every(SNAPSHOT_SECONDS, f"snapshot of {self.book}", self.refresh)
            uid = f"{outbox.journal.directory} {self.book}"
            book_changed.connect(self._on_change, weak=False, dispatch_uid=uid)
            outbox.at_close(uid, functools.partial(book_changed.disconnect, dispatch_uid=uid))

    def refresh(self) -> None:
        """Bring the snapshot up to the database."""
        self.breaker.call(self.take_snapshot)

    def take_snapshot(self) -> None:
        raise NotImplementedError

    def read_mirror(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if not self.mirror.exists():
            raise Unavailable(self.component, f"it is down and there is no snapshot of {self.book}")
        return super().read_mirror(name, *args, **kwargs)

    def _writing(self, name: str) -> Callable[..., Any]:
        write = super()._writing(name)

        @functools.wraps(write)
        def write_and_note(*args: Any, **kwargs: Any) -> Any:
            answer = write(*args, **kwargs)
            if self.is_behind():
                # What was acknowledged and cannot be read from the database now.
                with suppress(Conflict, InvalidInput, NotFound):
                    self._do_in_snapshot(name, answer, *args, **kwargs)
            return answer

        return write_and_note

    def _do_in_snapshot(self, name: str, answer: Any, *args: Any, **kwargs: Any) -> None:
        noted = getattr(self.mirror, name)(*args, **kwargs)
        if name.startswith("create_"):
            self.mirror.renumber(noted, answer)

    def is_behind(self) -> bool:
        """Tell whether the database was gone before the snapshot had this thread's change."""
        return getattr(self._behind, "is_so", False)

    def _on_change(self, book: str, **_: object) -> None:
        if book == self.book:
            self._behind.is_so = True
            self.refresh()
            self._behind.is_so = False


class MirroredStrategies(_Book[OrmStrategies, FileStrategies]):
    role = StrategyBook
    book = "strategies"
    reads = frozenset(
        {
            "list_strategies",
            "get_strategy_params",
            "compare_strategy_params",
            "list_strategy_versions",
        }
    )

    def take_snapshot(self) -> None:
        self.mirror.load_snapshot(self.primary.dump, self.primary.dump_params)

    def save_strategy_params(
        self, strategy_name: str, params: Mapping[str, Any], remark: str = ""
    ) -> int:
        return int(self._writing("save_strategy_params")(strategy_name, params, remark))

    def _do_in_snapshot(self, name: str, answer: Any, *args: Any, **kwargs: Any) -> None:
        if name == "save_strategy_params":
            # The version is the database's, not the next one of the files.
            self.mirror.add_version(args[0], answer, *args[1:])
        else:
            super()._do_in_snapshot(name, answer, *args, **kwargs)


class MirroredAccounts(_Book[OrmAccounts, FileAccounts]):
    role = AccountBook
    book = "accounts"
    reads = frozenset(
        {"get_account", "list_accounts", "list_account_strategies", "list_strategy_accounts"}
    )

    def __init__(
        self, primary: OrmAccounts, mirror: FileAccounts, outbox: Outbox, switches: Switches
    ) -> None:
        super().__init__(primary, mirror, outbox, switches)
        outbox.register(CAPITAL, PRIMARY, self._send)
        outbox.register(CAPITAL, MIRROR, self._mirror)

    def take_snapshot(self) -> None:
        self.mirror.load_snapshot(self.primary.dump)

    def update_account_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
    ) -> None:
        figures = (current_capital, total_assets, position_value)
        at = clock.now()
        try:
            self.breaker.call(self.primary.record_capital, account_id, *figures, at)
        except Unavailable:
            if self.switches.may_fall_back and self.read_mirror("get_account", account_id) is None:
                raise
            self._note(account_id, figures, at, is_there=False)
        else:
            # The database may be gone before the snapshot has it.
            if self.switches.dual_write:
                self._note(account_id, figures, at, is_there=True)

    def record_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
        at: datetime,
    ) -> None:
        """Journal the capital of a moment, which the background brings where it belongs."""
        self._note(account_id, (current_capital, total_assets, position_value), at, is_there=False)

    def _note(
        self, account_id: str, figures: tuple[Money, ...], at: datetime, *, is_there: bool
    ) -> None:
        body = [account_id, *map(str, figures), at.isoformat()]
        self.outbox.append(CAPITAL, body, marks=(is_there, not self.switches.dual_write))

    def prefers_mirror(self) -> bool:
        """Tell whether capital is owed: until it is there, the database shows the old one."""
        if not self.switches.may_fall_back:
            return False
        try:
            self.breaker.check()
        except Unavailable:
            # Not to be asked once more: it may be back by then, without what it is owed.
            return True
        return bool(self.outbox.settle(CAPITAL, PRIMARY, SETTLE_SECONDS))

    def read_mirror(self, name: str, *args: Any, **kwargs: Any) -> Any:
        for done in self._mirror(self.outbox.owed(CAPITAL, MIRROR)):
            self.outbox.journal.mark(done, MIRROR)
        return super().read_mirror(name, *args, **kwargs)

    def _send(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for entry in entries:
            self._record(self._record_in_primary, entry)
            yield [entry]

    def _record_in_primary(self, *values: Any) -> None:
        self.breaker.call(self.primary.record_capital, *values)

    def _mirror(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for entry in entries:
            # What the database has comes with the snapshot, too, and perhaps with its account.
            if not entry.marks[PRIMARY] or self.mirror.get_account(entry.body[0]) is not None:
                self._record(self.mirror.record_capital, entry)
            yield [entry]

    def _record(self, record: Callable[..., None], entry: Entry) -> None:
        account_id, cash, total, value, at = entry.body
        try:
            record(account_id, cash, total, value, datetime.fromisoformat(at))
        except (NotFound, InvalidInput) as exc:
            logger.error("Capital of %s at %s is dropped: %s", account_id, at, exc)  # noqa: TRY400
