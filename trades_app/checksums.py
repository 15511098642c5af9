"""Checksums of trades and bars that ClickHouse and this process compute alike.

A checksum of many rows is the sum of the hashes of each, modulo 2^64: it does not depend on
their order, and a row that stands there twice counts twice. `trades_app.queries.checksums` has
the same in SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SEPARATOR: Final = "\x1f"
_MODULUS: Final = 1 << 64
# ClickHouse's intHash64: the finalizer of MurmurHash3 after a constant.
_SEED: Final = np.uint64(0x4CF2D2BAAE6DA887)
_FIRST: Final = np.uint64(0xFF51AFD7ED558CCD)
_SECOND: Final = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT: Final = np.uint64(33)

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class DaySum:
    """What the trades of a day come to; `amount` is in steps of 0.001 yuan."""

    count: int = 0
    volume: int = 0
    amount: int = 0
    checksum: int = 0

    def plus(self, volume: int, amount: int, hashed: int) -> DaySum:
        return DaySum(
            self.count + 1,
            self.volume + volume,
            self.amount + amount,
            (self.checksum + hashed) % _MODULUS,
        )


def text_hash(parts: Sequence[str]) -> int:
    """Return ClickHouse's halfMD5 of the parts, joined."""
    text = SEPARATOR.join(parts).encode()
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big")


def bar_hashes(columns: Sequence[npt.NDArray[Any]]) -> Hashes:
    """Return a hash per bar of YYYYMMDD, open, high, low, close (ticks), volume, amount (fen)."""
    day, *rest = columns
    with np.errstate(over="ignore"):
        hashed = _int_hash(day.astype(np.int64).view(np.uint64))
        for column in rest:
            hashed = _int_hash(hashed ^ column.astype(np.int64).view(np.uint64))
    return hashed


def sum_hashes(hashes: Hashes) -> int:
    return int(hashes.sum(dtype=np.uint64))


def _int_hash(values: Hashes) -> Hashes:
    mixed = values ^ _SEED
    mixed = (mixed ^ (mixed >> _SHIFT)) * _FIRST
    mixed = (mixed ^ (mixed >> _SHIFT)) * _SECOND
    return np.asarray(mixed ^ (mixed >> _SHIFT), dtype=np.uint64)
