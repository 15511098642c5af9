"""Giving back memory that only the start needed."""

from __future__ import annotations

import ctypes
from pathlib import Path

_MADV_PAGEOUT = 21
_LIBRARY = "_chdb"


def release_library_pages() -> None:
    """Let go of the engine library's pages; those in use come back on demand.

    Loading touches 170 MB of the library and queries need 60 MB of it. The
    kernel would take the pages back under pressure; until then they count as
    resident. Does nothing where the kernel has no such call.
    """
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
        if _LIBRARY in line:
            start, end = (int(part, 16) for part in line.split(maxsplit=1)[0].split("-"))
            madvise(start, end - start, _MADV_PAGEOUT)
