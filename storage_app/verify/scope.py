"""What is to be compared, how patiently, and what a comparison notes on its way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.verify.differences import Kind
from storage_app.verify.wording import kind_label

# Kinds that tell accounts apart; the others are left out when accounts are named.
BY_ACCOUNT: Final = frozenset({Kind.POSITIONS, Kind.TRADES, Kind.ACCOUNTS, Kind.JOURNALS})


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for which two stores may differ because one of them is still catching up.

    A mirror file follows within half a second, another host's change within five; the snapshot
    of the relational database is taken each half minute.
    """

    books: float = 6.0
    entries: float = 3.0
    snapshots: float = 35.0


@dataclass(frozen=True, slots=True)
class Scope:
    """None means all; dates are trading dates, inclusive, and concern trades and bars."""

    accounts: frozenset[str] | None = None
    since: date | None = None
    until: date | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    data_dir: Path = field(default_factory=lambda: Path(settings.DATA_DIR))
    keeps_mirror: bool = field(default_factory=lambda: bool(settings.ENABLE_DUAL_WRITE))
    patience: Patience = Patience()

    @property
    def wanted(self) -> list[Kind]:
        """Return the kinds to compare, in their usual order."""
        kinds = self.kinds if self.accounts is None else self.kinds & BY_ACCOUNT
        return [kind for kind in Kind if kind in kinds]

    @property
    def journal(self) -> Path:
        return self.data_dir / "journal"

    def has_account(self, account_id: str) -> bool:
        return self.accounts is None or account_id in self.accounts

    def has_day(self, day: date) -> bool:
        return (self.since or date.min) <= day <= (self.until or date.max)

    def as_json(self) -> dict[str, Any]:
        return {
            "accounts": None if self.accounts is None else sorted(self.accounts),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "kinds": [kind.value for kind in self.wanted],
        }


@dataclass(slots=True)
class Examination:
    """A comparison under way: `counts` says how much was compared, `notes` what was left out."""

    scope: Scope
    watch: Watch = UNWATCHED
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[list[Any]] = field(default_factory=list)

    def step(self, kind: Kind, done: int, total: int) -> None:
        """Tell how far the comparison of a kind is; Cancelled if it shall not go on."""
        self.watch.step(kind_label(kind), done, total)

    def note(self, message: str, **values: Any) -> None:
        """Keep an English message with its values; whoever shows it translates it."""
        if [message, values] not in self.notes:
            self.notes.append([message, values])
