"""What can go wrong, as callers see it.

StorageError
├── Unavailable     the server did not answer: the only error that means "try the other"
├── NotFound        the account, strategy or version does not exist
├── Conflict        the same identity already stands for something else
├── InvalidInput    the caller passed what no store accepts        (also a ValueError)
├── Unsupported     this mode has no such data                     (also a NotImplementedError)
└── Corrupt         a file cannot be believed; it is left as it is
"""

from __future__ import annotations

from pathlib import Path


class StorageError(Exception):
    """Root of every error that a store raises on purpose."""


class Unavailable(StorageError):
    """The backend did not answer in time; nothing is known about the outcome of a write."""

    def __init__(self, backend: str, reason: str = "") -> None:
        self.backend = backend
        self.reason = reason
        super().__init__(f"{backend} is unavailable" + (f": {reason}" if reason else ""))


class NotFound(StorageError):
    pass


class Conflict(StorageError):
    pass


class InvalidInput(StorageError, ValueError):
    pass


class Unsupported(StorageError, NotImplementedError):
    pass


class Corrupt(StorageError):
    """The file at `path` is damaged or cut off; reading it as empty would lose data."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is damaged: {reason}")
