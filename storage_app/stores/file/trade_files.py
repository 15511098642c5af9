"""A year of one account's trades: a CSV file that only grows, and what is known of its lines."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, TypeVar

from storage_app.contract.errors import Corrupt
from storage_app.contract.types import Trade
from storage_app.stores.file import trade_lines
from storage_app.stores.file.documents import locked, refusing, sync_directory
from storage_app.stores.file.trade_lines import HEADER, Row

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
_UID_LENGTH = 36

T = TypeVar("T")


class TradeFile:
    """One file with an index of its uids; `find` and `append` need the lock of its directory."""

    def __init__(self, path: Path, account_id: str) -> None:
        self.path = path
        self.account_id = account_id
        self._stamp: _Stamp | None = None
        self._places: dict[str, int] = {}
        self._lines = 0

    def find(self, uids: Iterable[str]) -> dict[str, Trade]:
        """Return the stored trades with these uids."""
        self._refresh()
        places = {uid: self._places[uid] for uid in uids if uid in self._places}
        if not places:
            return {}
        with refusing(self.path), self.path.open("rb") as stream:
            lines = {uid: _line_at(stream, place) for uid, place in places.items()}
        return {uid: self._to_trade(line) for uid, line in lines.items()}

    def append(self, trades: list[Trade]) -> None:
        """Append on a synced medium; `find` has been called under the same lock."""
        is_new = self._stamp is None
        data = (HEADER if is_new else b"") + trade_lines.encode(trades)
        with refusing(self.path), self.path.open("ab", buffering=0) as stream:
            _append(stream, data)
        if is_new:
            sync_directory(self.path.parent)
        self._refresh()

    def read_rows(self) -> list[Row]:
        """Return the fields of every line, after cutting a torn one off."""
        data = self._read()
        if data and not data.endswith(b"\n"):
            # Whoever writes may be at it still; under the lock nobody is.
            with lock_directory(self.path.parent):
                self._refresh()
            data = self._read()
        return self._parse(data)

    def parse(self, rows: Iterable[Row], read: Callable[[str, Row], T]) -> Iterator[T]:
        """Yield `read(account_id, row)`; refuse the file when a row does not hold a trade."""
        row: Row = ()
        try:
            for row in rows:
                yield read(self.account_id, row)
        except (ValueError, ArithmeticError) as exc:
            raise Corrupt(self.path, f"{','.join(row)!r}: {exc}") from exc

    def _read(self) -> bytes:
        if not self.path.exists():
            return b""
        with refusing(self.path):
            return self.path.read_bytes()

    def _parse(self, data: bytes) -> list[Row]:
        if not data:
            return []
        self._require_header(data)
        try:
            rows: list[Row] = list(trade_lines.parse_rows(data[len(HEADER) :]))
        except ValueError as exc:
            raise Corrupt(self.path, f"not a CSV file in UTF-8: {exc}") from exc
        for row in rows:
            if len(row) != trade_lines.WIDTH:
                raise Corrupt(self.path, f"{','.join(row)!r} has {len(row)} fields")
        return rows

    def _to_trade(self, line: bytes) -> Trade:
        (trade,) = self.parse(self._parse(HEADER + line), trade_lines.to_trade)
        return trade

    def _refresh(self) -> None:
        """Cut a torn line off and index what appeared since the last look."""
        if not self.path.exists():
            self._stamp = None
            self._places.clear()
            return
        with refusing(self.path), self.path.open("r+b") as stream:
            _cut_torn_line(stream, self.path)
            status = os.fstat(stream.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp == self._stamp:
                return
            start = self._known_size(stamp)
            stream.seek(start)
            data = stream.read()
        self._index(start, data)
        self._stamp = stamp if stamp[1] else None

    def _known_size(self, stamp: _Stamp) -> int:
        """Return how much of the file is indexed; nothing of one that was replaced or cut."""
        known = self._stamp
        return known[1] if known and known[0] == stamp[0] and known[1] < stamp[1] else 0

    def _index(self, start: int, data: bytes) -> None:
        if not start:
            self._places.clear()
            self._lines = 0
            self._require_header(data)
            start = len(HEADER) if data else 0
            data = data[len(HEADER) :]
        for line in data.splitlines(keepends=True):
            self._lines += 1
            uid = trade_lines.uid_of(line)
            if len(uid) != _UID_LENGTH:
                raise Corrupt(self.path, f"line {self._lines + 1} does not end with a trade_uid")
            self._places[uid] = start
            start += len(line)

    def _require_header(self, data: bytes) -> None:
        if data and not data.startswith(HEADER):
            raise Corrupt(self.path, "the first line is not the header of a trade file")


def lock_directory(directory: Path) -> AbstractContextManager[None]:
    """Hold the lock of one account's trades."""
    return locked(directory / "trades")


def _line_at(stream: BinaryIO, place: int) -> bytes:
    stream.seek(place)
    return stream.readline()


def _append(stream: BinaryIO, data: bytes) -> None:
    end = stream.seek(0, os.SEEK_END)
    try:
        left = memoryview(data)
        while left:
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
    except OSError:
        # A full disk: what did arrive must not stand before the next line.
        stream.truncate(end)
        raise


def _cut_torn_line(stream: BinaryIO, path: Path) -> None:
    """Cut off what a dead writer left after the last line end."""
    size = stream.seek(0, os.SEEK_END)
    if not size:
        return
    stream.seek(size - 1)
    if stream.read(1) == b"\n":
        return
    stream.seek(0)
    data = stream.read()
    whole = data.rfind(b"\n") + 1
    stream.truncate(whole)
    os.fsync(stream.fileno())
    logger.warning(
        "%s: cut off a torn last line of %d bytes that no writer had acknowledged: %r",
        path,
        size - whole,
        data[whole:],
    )
