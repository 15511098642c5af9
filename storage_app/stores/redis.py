"""Positions in Redis: a hash per book, every change one Lua script, every read one command.

Keys share a hash tag, so that a cluster keeps a book in one place:
`sq:{55009728/test}` is the book, `sq:{55009728/test}:fills` its applied fills; `sq:books` lists
the books. `positions.lua` describes the fields.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import redis
from django_redis import get_redis_connection

from storage_app.contract.arguments import parse_timestamp
from storage_app.contract.errors import Corrupt, Unavailable
from storage_app.contract.positions import (
    CrowdWatch,
    fill_identity,
    from_ticks,
    kept_since,
    to_ticks,
)
from storage_app.contract.roles import PositionStore
from storage_app.contract.types import BookCopy, BookState, Money, PositionFlag, PositionState
from trades_app.market import clock

BOOKS = "sq:books"
_SCRIPT = Path(__file__).with_name("positions.lua")

# The server answers, but cannot serve: full, read-only, without its disk or its master.
_UNSERVICEABLE = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterError,
    redis.exceptions.TryAgainError,
    redis.exceptions.NoPermissionError,
)
_REFUSALS = ("MISCONF", "BUSY", "LOADING", "NOAUTH", "NOREPLICAS")


@contextmanager
def translating(key: str) -> Iterator[None]:
    """Raise Unavailable for a server that does not serve, Corrupt for a key that is no book."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, *_UNSERVICEABLE) as exc:
        raise Unavailable("redis", str(exc)) from exc
    except redis.ResponseError as exc:
        message = str(exc)
        if message.startswith(_REFUSALS):
            raise Unavailable("redis", message) from exc
        if "WRONGTYPE" in message or "damaged entry" in message:
            raise Corrupt(Path(key), message) from exc
        raise


class RedisPositions(PositionStore):
    """Positions on the connection that CACHES names; threads and forks may share the store."""

    component: ClassVar[str] = "redis"

    def __init__(self, connection_alias: str = "positions") -> None:
        self._alias = connection_alias
        self._client: redis.Redis | None = None
        self._script: Any = None
        self._crowds = CrowdWatch()
        self._listed: set[str] = set()
        # Generation and revision of each book at the last answer that told them.
        self.seen: dict[str, tuple[str, int]] = {}
        self._answer = threading.local()
        # What a book held at the last read: most reads find the same, and comparing is cheaper.
        self._parsed: dict[str, tuple[dict[str, str], BookState]] = {}

    def ping(self) -> None:
        with translating(BOOKS):
            self._connection().ping()

    def close(self) -> None:
        """Give back the connection; the next call takes one again."""
        client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect(inuse_connections=False)

    def get_held_days(self, code: str, account_id: str) -> int | None:
        state = self._read(code, account_id)
        return None if state is None else state.held_days

    def get_max_price(self, code: str, account_id: str) -> float | None:
        state = self._read(code, account_id)
        return None if state is None else state.max_price

    def get_min_price(self, code: str, account_id: str) -> float | None:
        state = self._read(code, account_id)
        return None if state is None else state.min_price

    def read_book(self, account_id: str) -> BookState:
        key = book_key(account_id)
        with translating(key):
            fields: dict[str, str] = self._connection().hgetall(key)
            self.seen[account_id] = (fields.get("_gen", ""), int(fields.get("_rev", 0)))
            known = self._parsed.get(key)
            if known is not None and known[0] == fields:
                return known[1]
            book = parse_book(fields) if known is None else parse_changes(fields, *known)
        self._parsed[key] = (fields, book)
        return book

    def update_held_days(self, code: str, days: int, account_id: str) -> None:
        _, open_count = self._run(account_id, "age", code, days)
        self._crowds.note(account_id, open_count)

    def delete_held_days(self, code: str, account_id: str) -> None:
        self._run(account_id, "forget", code)

    def increment_held_days(self, account_id: str, trade_date: date) -> bool:
        _, done_now = self._run(account_id, "increment", trade_date.isoformat())
        return bool(done_now)

    def update_max_price(self, code: str, price: Money, account_id: str) -> None:
        self._run(account_id, "extreme", code, "max", to_ticks(price))

    def update_min_price(self, code: str, price: Money, account_id: str) -> None:
        self._run(account_id, "extreme", code, "min", to_ticks(price))

    def raise_extremes(self, account_id: str, prices: Mapping[str, tuple[Money, Money]]) -> None:
        arguments: list[str | int] = []
        for code, (high, low) in prices.items():
            arguments += (code, to_ticks(high), to_ticks(low))
        self._run(account_id, "widen", *arguments)

    def open_positions(self, account_id: str, codes: Sequence[str]) -> list[str]:
        _, opened, open_count = self._run(account_id, "open", *dict.fromkeys(codes))
        self._crowds.note(account_id, open_count)
        return list(opened)

    def replace_positions(
        self,
        account_id: str,
        positions: Mapping[str, PositionState],
        increment_date: date | None = None,
    ) -> None:
        arguments = [increment_date.isoformat() if increment_date else ""]
        for code, state in positions.items():
            arguments += (code, format_entry(state))
        _, open_count = self._run(account_id, "replace", *arguments)
        self._crowds.note(account_id, open_count)

    def apply_fill(
        self,
        account_id: str,
        code: str,
        side: str,
        volume: int,
        price: Money,
        *,
        trade_id: str,
        timestamp: datetime | float | str,
        remaining: int | None = None,
    ) -> PositionState | None:
        trade_date = parse_timestamp(timestamp).date()
        today = clock.today()
        _, text, open_count = self._run(
            account_id,
            "fill",
            code,
            str(side),
            volume,
            "" if remaining is None else remaining,
            trade_date.isoformat(),
            fill_identity(code, side, trade_id, trade_date),
            f"{today:%Y%m%d}",
            f"{kept_since(today):%Y%m%d}",
        )
        self._crowds.note(account_id, open_count)
        return None if text is None else parse_entry(code, text)

    def list_books(self) -> list[str]:
        with translating(BOOKS):
            return sorted(self._connection().smembers(BOOKS))

    @property
    def answered_revision(self) -> int:
        """The revision that the last change of this thread led to."""
        return int(self._answer.revision)

    def read_marks(self, book: str) -> tuple[str, int]:
        """Return generation and revision of a book, "" and 0 if there is none."""
        key = book_key(book)
        with translating(key):
            generation, revision = self._connection().hmget(key, "_gen", "_rev")
        return generation or "", int(revision or 0)

    def dump(self, book: str) -> BookCopy:
        """Return everything there is of a book, in one transaction."""
        key = book_key(book)
        with translating(key):
            pipeline = self._connection().pipeline(transaction=True)
            pipeline.hgetall(key)
            pipeline.zrange(f"{key}:fills", 0, -1, withscores=True)
            fields, fills = pipeline.execute()
            applied = {
                identity: datetime.strptime(f"{day:.0f}", "%Y%m%d").date()  # noqa: DTZ007
                for identity, day in fills
            }
            return BookCopy(
                parse_book(fields), applied, int(fields.get("_rev", 0)), fields.get("_gen", "")
            )

    def load(self, book: str, copy: BookCopy) -> None:
        """Make the book equal to a copy; fills that were applied here stay applied."""
        key = book_key(book)
        if copy.applied:
            days = {identity: int(f"{day:%Y%m%d}") for identity, day in copy.applied.items()}
            with translating(key):
                self._connection().zadd(f"{key}:fills", days, nx=True)
        self.replace_positions(book, copy.state.positions, copy.state.increment_date)

    def _connection(self) -> Any:
        if self._client is None:
            client = get_redis_connection(self._alias)
            self._script = client.register_script(_SCRIPT.read_text(encoding="utf-8"))
            self._client = client
        return self._client

    def _read(self, code: str, book: str) -> PositionState | None:
        key = book_key(book)
        with translating(key):
            text, generation, revision = self._connection().hmget(key, code, "_gen", "_rev")
            self.seen[book] = (generation or "", int(revision or 0))
            return None if text is None else parse_entry(code, text)

    def _run(self, book: str, *arguments: str | int) -> list[Any]:
        """Run an operation of `positions.lua`; return its answer, the revision first."""
        key = book_key(book)
        with translating(key):
            client = self._connection()
            answer: list[Any] = self._script(keys=[key, f"{key}:fills"], args=arguments)
            # Not in the script, because a cluster keeps the list elsewhere.
            revision = self._answer.revision = int(answer[0])
            if revision and (revision == 1 or book not in self._listed):
                client.sadd(BOOKS, book)
                self._listed.add(book)
        return answer


def book_key(book: str) -> str:
    return f"sq:{{{book}}}"


def parse_book(fields: Mapping[str, str]) -> BookState:
    entries = {code: text for code, text in fields.items() if code[0] != "_"}
    positions = dict(zip(entries, map(parse_entry, entries, entries.values()), strict=True))
    return BookState(_increment_date(fields), positions)


def parse_changes(
    fields: Mapping[str, str], before: Mapping[str, str], book: BookState
) -> BookState:
    """Return the book, parsing anew only what differs from `before`: a tick moves a few codes."""
    if fields.keys() != before.keys():
        return parse_book(fields)
    moved = {
        code: parse_entry(code, text)
        for code, text in fields.items()
        if text != before[code] and code[0] != "_"
    }
    return BookState(_increment_date(fields), {**book.positions, **moved})


def _increment_date(fields: Mapping[str, str]) -> date | None:
    done = fields.get("_inc_date")
    return date.fromisoformat(done) if done else None


@lru_cache(maxsize=8192)
def parse_entry(code: str, text: str) -> PositionState:
    """Return the state of an entry; most are what they were at the last read."""
    try:
        days, highest, lowest, volume, opened_on, flag = text.split("|")
        return PositionState(
            code,
            int(days) if days else None,
            from_ticks(int(highest)) if highest else None,
            from_ticks(int(lowest)) if lowest else None,
            int(volume) if volume else None,
            date.fromisoformat(opened_on) if opened_on else None,
            PositionFlag(flag),
        )
    except ValueError as exc:
        raise Corrupt(Path("redis"), f"{code} holds {text!r}") from exc


def format_entry(state: PositionState) -> str:
    fields = (
        state.held_days,
        None if state.max_price is None else to_ticks(state.max_price),
        None if state.min_price is None else to_ticks(state.min_price),
        state.volume,
        state.opened_on,
    )
    return "|".join(["" if field is None else str(field) for field in fields] + [state.flag])
