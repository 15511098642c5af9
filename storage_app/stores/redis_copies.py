"""Books of positions as they stand in Redis, field by field, to be put back exactly.

Whole keys are copied whatever they hold, so that what later versions keep with a book (who may
write it, say) comes along. `_gen` and `_rev` tell hosts which copy of a book is newer:

- Into an empty Redis they return as they were. A host whose mirror is older follows; one that
  has later changes, which Redis lost, brings them back as after any outage.
- In place of a book that stands, the marks of the standing one stay and its revision rises, so
  that every host takes the restored state for one more change and follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django_redis import get_redis_connection

from storage_app.contract.errors import InvalidInput
from storage_app.stores.redis import BOOKS, book_key, translating

_PREFIX: Final = "sq:"
# Marks of a book that belong to the server at hand rather than to the copy.
_DATE: Final = "_inc_date"

# Key → value: a dict is a hash, a list of pairs a sorted set, a list of texts a set.
Keys = dict[str, Any]


class RedisCopies:
    """Every key of the position store, a book at a time."""

    def __init__(self, connection_alias: str = "positions") -> None:
        self._client = get_redis_connection(connection_alias)

    def occupied(self) -> int:
        """Return how many books there are."""
        return len(self.books())

    def books(self) -> list[str]:
        with translating(BOOKS):
            return sorted(self._client.smembers(BOOKS))

    def read_all(self) -> Iterator[tuple[str, Keys]]:
        """Yield each book with its keys; those of a book are of one moment."""
        for book, keys in sorted(self._keys_by_book().items()):
            with translating(keys[0]):
                yield book, self._read(keys)

    def read(self, book: str) -> Keys:
        keys = self._keys_by_book().get(book, [])
        with translating(book_key(book)):
            return self._read(keys)

    def write(self, book: str, wanted: Keys) -> Keys:
        """Make the keys of a book equal to a copy; return what stands then."""
        key = book_key(book)
        standing = self._keys_by_book().get(book, [])

        def change(pipe: Any) -> Keys:
            merged = _merged(wanted, key, pipe.hgetall(key))
            pipe.multi()
            pipe.delete(*standing, *merged)
            for name, value in merged.items():
                _put(pipe, name, value)
            return merged

        with translating(key):
            merged: Keys = self._client.transaction(change, key, value_from_callable=True)
            # Not in the transaction, because a cluster keeps the list elsewhere.
            self._client.sadd(BOOKS, book)
        return merged

    def empty(self, book: str) -> None:
        """Close every position of a book that stands, which stays as an empty one."""
        self.write(book, {})

    def _keys_by_book(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with translating(BOOKS):
            for key in self._client.scan_iter(match=f"{_PREFIX}{{*", count=1000):
                book = key[len(_PREFIX) + 1 :].partition("}")[0]
                found.setdefault(book, []).append(key)
        return {book: sorted(keys) for book, keys in found.items()}

    def _read(self, keys: list[str]) -> Keys:
        if not keys:
            return {}
        kinds = [self._client.type(key) for key in keys]
        pipeline = self._client.pipeline(transaction=True)
        for key, kind in zip(keys, kinds, strict=True):
            _ask(pipeline, key, kind)
        values = pipeline.execute()
        return {key: _plain(value) for key, value in zip(keys, values, strict=True) if value}


def is_same(found: Mapping[str, Any], wanted: Mapping[str, Any], book: str) -> bool:
    """Tell whether two copies of a book differ in their marks at most."""
    return _without_marks(found, book) == _without_marks(wanted, book)


def _without_marks(keys: Mapping[str, Any], book: str) -> Keys:
    fields = keys.get(book_key(book), {})
    own = {name: value for name, value in fields.items() if not _is_mark(name)}
    return {**keys, book_key(book): own}


def _is_mark(name: str) -> bool:
    return name.startswith("_") and name != _DATE


def _merged(wanted: Keys, key: str, standing: Mapping[str, str]) -> Keys:
    """Return the copy with the marks of the book that stands, one revision later."""
    if not standing:
        return wanted
    fields = {name: value for name, value in wanted.get(key, {}).items() if not _is_mark(name)}
    marks = {name: value for name, value in standing.items() if _is_mark(name)}
    copied = int(wanted.get(key, {}).get("_rev", 0))
    marks["_rev"] = str(max(int(marks.get("_rev", 0)), copied) + 1)
    return {**wanted, key: {**fields, **marks}}


def _ask(pipeline: Any, key: str, kind: str) -> None:
    match kind:
        case "hash":
            pipeline.hgetall(key)
        case "zset":
            pipeline.zrange(key, 0, -1, withscores=True)
        case "set":
            pipeline.smembers(key)
        case "string":
            pipeline.get(key)
        case _:
            raise InvalidInput(f"the key {key} is a {kind}, which no book has")


def _plain(value: Any) -> Any:
    if isinstance(value, set):
        return {"set": sorted(value)}
    if isinstance(value, list):
        return {"zset": [[member, score] for member, score in value]}
    return value


def _put(pipeline: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        pipeline.set(key, value)
    elif value.keys() == {"zset"}:
        pipeline.zadd(key, dict(value["zset"]))
    elif value.keys() == {"set"}:
        pipeline.sadd(key, *value["set"])
    else:
        pipeline.hset(key, mapping=value)
