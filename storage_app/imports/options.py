"""What a person says about an import, and the dates it is limited to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils.translation import ngettext

from storage_app.contract.types import Adjust
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.imports.rejects import RejectsFolder
from trades_app.market import clock


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`batch_size` is rows per write, None the size that suits each kind of data.

    `assume_filled` adds a fill, marked as assumed, to each order. `rejects` receives the
    rejected rows as they are met.
    """

    account_id: str
    calendar_path: Path
    adjust: Adjust = Adjust.NONE
    zone: ZoneInfo = clock.SHANGHAI
    dry_run: bool = False
    replace_positions: bool = False
    assume_filled: bool = False
    since: date | None = None
    until: date | None = None
    batch_size: int | None = None
    rejects: RejectsFolder | None = None
    watch: Watch = field(default=UNWATCHED)

    def covers(self, day: date) -> bool:
        """Tell whether rows of a trading date are wanted."""
        return (self.since is None or day >= self.since) and (
            self.until is None or day <= self.until
        )

    @property
    def is_limited(self) -> bool:
        return self.since is not None or self.until is not None


def note_outside(count: int) -> str:
    """Return what is said of rows that --since and --until leave out; they are not counted."""
    if not count:
        return ""
    return ngettext(
        "%(count)d row outside the dates", "%(count)d rows outside the dates", count
    ) % {"count": count}
