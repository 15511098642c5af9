"""Log files that many processes of a host write at once, none waiting for another.

Each process writes a file of its own below `DATA_DIR/log`: `PROGRAM.log`, and `PROGRAM-2.log` for a
second one that runs beside it. It holds the name by a lock that ends with the process, so that
the next run goes on where the last one ended, and the directory stays small however often a
program is started. Only the owner renames its files, which Windows would refuse otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
import weakref
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

LOGGERS: Final = ("storage_app", "trades_app", "chdb_server")
FORMAT: Final = "{asctime} {process} {levelname} {name}: {message}"
FILE_BYTES: Final = 10_000_000
OLD_FILES: Final = 5
# Files of programs that nobody runs any more.
KEPT_SECONDS: Final = 30 * 86400.0
PATIENCE_SECONDS: Final = 60.0


class ProcessLog(RotatingFileHandler):
    """Rotating files with a name of their own in each process, made with the first record."""

    def __init__(self, directory: Path, program: str = "") -> None:
        self._directory = Path(directory)
        self._program = program or program_name()
        self._lock: FileLock | None = None
        self._next_try = 0.0
        self._next_complaint = 0.0
        super().__init__(
            self._directory / f"{self._program}.log",
            maxBytes=FILE_BYTES,
            backupCount=OLD_FILES,
            encoding="utf-8",
            errors="backslashreplace",
            delay=True,
        )
        self.setFormatter(logging.Formatter(FORMAT, style="{"))
        _handlers.add(self)

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        return time.monotonic() >= self._next_try and bool(super().shouldRollover(record))

    def doRollover(self) -> None:
        """Begin a new file; go on with the old one while Windows lets nobody rename it."""
        self._close_stream()
        try:
            Path(self.baseFilename).replace(f"{self.baseFilename}.rolling")
            super().doRollover()
        except PermissionError:
            self._next_try = time.monotonic() + PATIENCE_SECONDS

    def rotate(self, source: str, dest: str) -> None:
        super().rotate(f"{source}.rolling", dest)

    def handleError(self, record: logging.LogRecord) -> None:
        """Complain about the disk now and then, not with every record."""
        if time.monotonic() >= self._next_complaint:
            self._next_complaint = time.monotonic() + PATIENCE_SECONDS
            super().handleError(record)

    def close(self) -> None:
        super().close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def after_fork(self) -> None:
        """Leave the file to the parent; the child's next record makes another one."""
        self._close_stream()
        self._lock = None

    def _open(self) -> TextIOWrapper:
        if self._lock is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            path, self._lock = _take_name(self._directory, self._program)
            self.baseFilename = str(path.absolute())
            _sweep(self._directory)
        return super()._open()

    def _close_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()


class _Script(logging.Handler):
    """The script's own handlers, which get what they would get if there were no file."""

    def handle(self, record: logging.LogRecord) -> bool:
        root = logging.getLogger()
        if record.levelno >= root.level:
            root.handle(record)
        return True


def attach(directory: Path, level: str) -> None:
    """Log our packages to files of a script that has logging of its own, which stays as it is.

    A level of INFO for the file must not bring INFO lines to the script's console, so records
    reach its handlers by way of the level of its root logger.
    """
    handlers = [ProcessLog(directory), _Script()]
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
        for handler in handlers:
            logger.addHandler(handler)


def program_name() -> str:
    """Return a name that fits a file: of the script, the command of manage.py or of celery."""
    path = Path(sys.argv[0] if sys.argv and sys.argv[0] != "-c" else "")
    name = path.parent.name if path.stem == "__main__" else path.stem
    if name == "manage":
        name = next(iter(sys.argv[1:2]), name)
    elif name == "celery":
        name = next((word for word in sys.argv[1:] if word in ("worker", "beat")), name)
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "python"


def _take_name(directory: Path, program: str) -> tuple[Path, FileLock]:
    number = 1
    while True:
        path = directory / (f"{program}.log" if number == 1 else f"{program}-{number}.log")
        lock = FileLock(path.with_suffix(".lock"), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            number += 1
        else:
            return path, lock


def _sweep(directory: Path) -> None:
    """Remove what processes that are gone left long ago."""
    for held in directory.glob("*.lock"):
        files = list(directory.glob(f"{held.stem}.log*"))
        newest = max(map(_changed, files), default=time.time())
        if time.time() - newest > KEPT_SECONDS:
            # Held by a process that is still there, or not ours to remove.
            with contextlib.suppress(OSError, Timeout), FileLock(held, timeout=0):
                for path in files:
                    path.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return time.time()


_handlers: weakref.WeakSet[ProcessLog] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for handler in list(_handlers):
        handler.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
