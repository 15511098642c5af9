"""Positions in Redis: a hash per book, every change one Lua script, every read one command.

Keys share a hash tag, so that a cluster keeps a book in one place:
`sq:{55009728/test}` is the book, `sq:{55009728/test}:fills` its applied fills and increments;
`sq:books` lists the books. `positions.lua` describes the fields.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

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
from storage_app.contract.types import (
    BookCopy,
    BookMarks,
    BookState,
    Money,
    PositionFlag,
    PositionState,
)
from trades_app.market import clock

BOOKS = "sq:books"
_MARKS = ("_gen", "_rev", "_lease")
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


class Connections:
    """Those that this process has made to Redis: each may lead to a server that began anew."""

    made: ClassVar[int] = 0

    @classmethod
    def count(cls, connection: Any) -> None:
        connection.on_connect()
        cls.made += 1


class Answer(NamedTuple):
    """What a change led to."""

    marks: BookMarks
    is_change: bool


class RedisPositions(PositionStore):
    """Positions on the connection that CACHES names; threads and forks may share the store."""

    component: ClassVar[str] = "redis"

    def __init__(self, connection_alias: str = "positions") -> None:
        self._alias = connection_alias
        self._client: redis.Redis | None = None
        self._script: Any = None
        self._crowds = CrowdWatch()
        self._listed: set[str] = set()
        # The host that takes the lease of a book that nobody holds with its first change.
        self.claimant = ""
        # The marks of each book at the last answer that told them.
        self.seen: dict[str, BookMarks] = {}
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
            self.seen[account_id] = _marks(map(fields.get, _MARKS))
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
        done_now = self._run(account_id, "increment", trade_date.isoformat(), *_keeping())[1]
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
        _, text, open_count = self._run(
            account_id,
            "fill",
            code,
            str(side),
            volume,
            "" if remaining is None else remaining,
            trade_date.isoformat(),
            fill_identity(code, side, trade_id, trade_date),
            *_keeping(),
        )
        self._crowds.note(account_id, open_count)
        return None if text is None else parse_entry(code, text)

    def list_books(self) -> list[str]:
        with translating(BOOKS):
            return sorted(self._connection().smembers(BOOKS))

    @property
    def answered(self) -> Answer:
        """What the last change of this thread led to."""
        answer: Answer = self._answer.value
        return answer

    def read_marks(self, book: str) -> BookMarks:
        """Return the marks of a book, ("", 0, "") if there is none."""
        key = book_key(book)
        with translating(key):
            return _marks(self._connection().hmget(key, *_MARKS))

    def read_all_marks(self, known: Iterable[str]) -> dict[str, BookMarks]:
        """Return the marks of the books that are known and of all others, in one round trip if
        there are no others."""
        marks, listed = self._read_marks_of(list(known))
        strangers = listed - marks.keys()
        return marks | self._read_marks_of(list(strangers))[0] if strangers else marks

    def _read_marks_of(self, books: list[str]) -> tuple[dict[str, BookMarks], set[str]]:
        """Return the marks of books, and the names of all books there are."""
        with translating(BOOKS):
            pipeline = self._connection().pipeline(transaction=False)
            for book in books:
                pipeline.hmget(book_key(book), *_MARKS)
            pipeline.smembers(BOOKS)
            *found, listed = pipeline.execute()
        return dict(zip(books, map(_marks, found), strict=True)), set(listed)

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
            marks = _marks(map(fields.get, _MARKS))
            lineage = parse_lineage(fields.get("_was", ""))
            return BookCopy(parse_book(fields), applied, marks, lineage, marks.revision)

    def load(self, book: str, copy: BookCopy, seen: BookMarks) -> bool:
        """Put a copy, marks and all, in the place of the book, in one step.

        False, and nothing is done, if the book is not what it was at `seen` any more.
        """
        positions: list[str] = []
        for code, state in copy.state.positions.items():
            positions += (code, format_entry(state))
        applied: list[str] = []
        for identity, day in copy.applied.items():
            applied += (f"{day:%Y%m%d}", identity)
        done = copy.state.increment_date
        generation, revision, lease = copy.marks
        found = self._run(
            book,
            "load",
            *(seen.generation, seen.revision, generation, revision, lease),
            *(format_lineage(copy.lineage), done.isoformat() if done else "", len(positions)),
            *positions,
            *applied,
        )
        return bool(found[1])

    def claim(self, book: str, host: str) -> str:
        """Give the lease of a book to a host; return who held it, "" for nobody."""
        return str(self._run(book, "claim", host)[1])

    def _connection(self) -> Any:
        if self._client is None:
            client = get_redis_connection(self._alias)
            client.connection_pool.connection_kwargs["redis_connect_func"] = Connections.count
            self._script = client.register_script(_SCRIPT.read_text(encoding="utf-8"))
            self._client = client
        return self._client

    def _read(self, code: str, book: str) -> PositionState | None:
        key = book_key(book)
        with translating(key):
            text, *marks = self._connection().hmget(key, code, *_MARKS)
            self.seen[book] = _marks(marks)
            return None if text is None else parse_entry(code, text)

    def _run(self, book: str, *arguments: str | int) -> list[Any]:
        """Run an operation of `positions.lua`; return what it did, and its answer."""
        key = book_key(book)
        with translating(key):
            client = self._connection()
            answer: list[Any] = self._script(
                keys=[key, f"{key}:fills"], args=(self.claimant, *arguments)
            )
            revision, before, generation, lease = answer[0]
            marks = BookMarks(generation, revision, lease)
            answer[0] = self._answer.value = Answer(marks, revision != before)
            # Not in the script, because a cluster keeps the list elsewhere.
            if revision and (revision == 1 or book not in self._listed):
                client.sadd(BOOKS, book)
                self._listed.add(book)
        return answer


def book_key(book: str) -> str:
    return f"sq:{{{book}}}"


def parse_lineage(text: str) -> dict[str, int]:
    parts = (one.rpartition("@") for one in text.split())
    return {generation: int(revision) for generation, _, revision in parts}


def format_lineage(lineage: Mapping[str, int]) -> str:
    return " ".join(f"{generation}@{revision}" for generation, revision in lineage.items())


def _marks(fields: Iterable[str | None]) -> BookMarks:
    generation, revision, lease = fields
    return BookMarks(generation or "", int(revision or 0), lease or "")


def _keeping() -> tuple[str, str]:
    """Return today, and the first day whose applied fills are kept, as the script has them."""
    today = clock.today()
    return f"{today:%Y%m%d}", f"{kept_since(today):%Y%m%d}"


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
