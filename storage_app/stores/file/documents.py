"""JSON documents on disk that survive a crash and two writers; every file store builds on them.

One document
    `read_document(path)` reads, `updating(path)` reads, yields for change and writes back.
Documents that change as one
    `DocumentSet(directory, names)` does the same for several files of one directory.
Other files
    `locked(path)` is the lock, `atomic_write_bytes` and `sync_directory` the durable writes;
    whoever writes holds the lock of the file.

A reader takes no lock: a document is replaced in one step, so it is the old one or the new one.
Any trouble with the disk, or a lock that another process will not give back, is Unavailable.
A file that is empty, cut off or not JSON is Corrupt and stays as it is; a missing one is empty.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from filelock import FileLock, Timeout

from storage_app.contract.errors import Corrupt, Unavailable

Document: TypeAlias = dict[str, Any]

LOCK_TIMEOUT = 10.0
_LOCK_POLL = 0.003
# Windows refuses to open or replace a file that another process has open right now.
_SHARING_PATIENCE = 1.0
_SHARING_POLL = 0.005
# File times advance in steps: two changes within one step may look like none.
_SETTLING_NS = 50_000_000

_T = TypeVar("_T")
_Stamp: TypeAlias = tuple[int, int, int] | None
Stamps: TypeAlias = tuple[_Stamp, ...]


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn trouble with the disk into Unavailable, naming the file."""
    try:
        yield
    except OSError as exc:
        raise Unavailable("file", f"{path}: {exc.strerror or exc}") from exc


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path` against every other process and thread; it may be taken once.

    The lock is `NAME.lock` beside the file and stays there, since removing it would let two in.
    """
    make_directory(path.parent)
    lock = FileLock(path.with_name(f"{path.name}.lock"), LOCK_TIMEOUT, poll_interval=_LOCK_POLL)
    with refusing(path):
        try:
            lock.acquire()
        except Timeout as exc:
            raise Unavailable("file", f"{path} is locked by another process") from exc
    try:
        yield
    finally:
        lock.release()


def read_document(path: Path) -> Document:
    """Return the object in the file, {} when there is no file."""
    try:
        with refusing(path):
            data = _sharing(path.read_bytes)
    except Unavailable as exc:
        if isinstance(exc.__cause__, FileNotFoundError):
            return {}
        raise
    return parse_document(path, data)


def parse_document(path: Path, data: bytes) -> Document:
    if not data.strip(b"\0 \t\r\n"):
        raise Corrupt(path, "the file is empty")
    try:
        # An editor on Windows may have put a byte order mark in front.
        document = json.loads(data.decode("utf-8-sig"))
    except ValueError as exc:
        raise Corrupt(path, f"not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise Corrupt(path, f"a JSON object was expected, not {type(document).__name__}")
    return document


@contextmanager
def updating(path: Path) -> Iterator[Document]:
    """Yield the document for change under its lock; write it if it changed, not if it raises."""
    with locked(path):
        document = read_document(path)
        before = deepcopy(document)
        yield document
        if document != before or not path.exists():
            atomic_write_bytes(path, dump_document(document))


def dump_document(document: Document) -> bytes:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=4)
    return text.encode() + b"\n"


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Replace the file in one durable step; the caller holds its lock.

    The temporary file is `NAME.tmp`; one that a dead process left is simply written over.
    """
    _replace_bytes(path, data)
    sync_directory(path.parent)


def _replace_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with refusing(path):
        with _sharing(lambda: temporary.open("wb")) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _sharing(lambda: temporary.replace(path))


def _sharing(action: Callable[[], _T]) -> _T:
    deadline = time.monotonic() + _SHARING_PATIENCE
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_SHARING_POLL)


def make_directory(path: Path) -> None:
    """Create a directory durably, with its parents."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with refusing(path):
        path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and new files in a directory durable; Windows does so by itself."""
    if os.name == "nt":
        return
    with refusing(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class DocumentSet:
    """JSON documents of one directory that change as one.

    A change of several is first written whole to `pending.json`, then file by file, and
    `pending.json` goes last. Whoever finds one that a dead process left finishes its work, so
    the set is the old one or the new one. Each file holds its part of the truth: one that a
    person edited counts as edited. The first name is there as soon as the set was updated.
    """

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.directory = directory
        self._paths = {name: directory / name for name in names}
        self._first = directory / names[0]
        self._pending = directory / "pending.json"
        self._lock = directory / "documents"

    def exists(self) -> bool:
        return any(path.exists() for path in (self._pending, *self._paths.values()))

    def stamps(self) -> Stamps | None:
        """Return what changes with any of the files; None while they may be changing now."""
        stamps = self.stamps_now()
        newest = max((stamp[0] for stamp in stamps if stamp), default=0)
        settled = time.time_ns() - newest > _SETTLING_NS
        return stamps if settled and _stamp(self._pending) is None else None

    def stamps_now(self) -> Stamps:
        return tuple(_stamp(path) for path in self._paths.values())

    def read(self) -> dict[str, Document]:
        """Return `{name: document}` of one moment."""
        before = self.stamps()
        if before is not None:
            documents = self._read_each()
            if self.stamps() == before:
                return documents
        if not self.directory.is_dir():
            return {name: {} for name in self._paths}
        with locked(self._lock):
            self._finish_pending()
            return self._read_each()

    @contextmanager
    def updating(self) -> Iterator[dict[str, Document]]:
        """Yield `{name: document}` for change under the lock; write those that changed."""
        with locked(self._lock):
            self._finish_pending()
            documents = self._read_each()
            before: dict[str, Document | None] = {**deepcopy(documents)}
            yield documents
            if not self._first.exists():
                before[self._first.name] = None
            self._write({name: new for name, new in documents.items() if new != before[name]})

    def _read_each(self) -> dict[str, Document]:
        return {name: read_document(path) for name, path in self._paths.items()}

    def _write(self, changed: dict[str, Document]) -> None:
        if len(changed) > 1:
            atomic_write_bytes(self._pending, dump_document(changed))
            self._write_each(changed)
            self._drop_pending()
        elif changed:
            self._write_each(changed)

    def _write_each(self, documents: dict[str, Document]) -> None:
        for name, document in documents.items():
            _replace_bytes(self._paths[name], dump_document(document))
        sync_directory(self.directory)

    def _finish_pending(self) -> None:
        pending = read_document(self._pending)
        if pending:
            self._write_each(pending)
            self._drop_pending()

    def _drop_pending(self) -> None:
        with refusing(self._pending):
            _sharing(self._pending.unlink)


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise Unavailable("file", f"{path}: {exc.strerror or exc}") from exc
    return status.st_mtime_ns, status.st_ino, status.st_size
