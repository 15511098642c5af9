"""What a repair may do."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """Which store is right: see each module of this package for why."""

    REPLAY = "replay"
    COPY_BOOK = "copy_book"
    RESTORE_BOOK = "restore_book"
    COMPLEMENT = "complement"
    REBUILD_LINES = "rebuild_lines"
    WRITE_BARS = "write_bars"
    MIRROR_BARS = "mirror_bars"
    SNAPSHOT = "snapshot"
    HELD_DAYS = "held_days"
    BY_HAND = "by_hand"
