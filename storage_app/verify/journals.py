"""Journals: nothing owed for longer than a moment, nothing damaged, nobody left on the files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from django.utils.translation import gettext_noop

from storage_app.stores.journal_segments import Damage, Place
from storage_app.verify import pending
from storage_app.verify.differences import Difference, Kind, Problem, Side, told
from storage_app.verify.positions import ON_FILES, account_of
from storage_app.verify.scope import Examination
from trades_app.market import clock

REPLAY: Final = "replay"
ENTRIES: Final = gettext_noop("%(count)d entries since %(since)s")
_SERVER: Final = "server"
_FILES: Final = "files"


def compare(exam: Examination) -> Iterator[Difference]:
    journal = exam.scope.journal
    exam.step(Kind.JOURNALS, 0, 1)
    before = {one.place for one in pending.read(journal)}
    damage = set(pending.read_damage(journal))
    on_files = (journal / ON_FILES).exists()
    if before or damage or on_files:
        # What is on its way arrives in the meantime.
        time.sleep(exam.scope.patience.entries)
        yield from _owed(exam, before)
        if exam.scope.accounts is None:
            yield from _damaged(damage & set(pending.read_damage(journal)))
            if on_files and (journal / ON_FILES).exists():
                yield _host_on_files(journal)
    exam.counts["journals"] += 1
    exam.step(Kind.JOURNALS, 1, 1)


def _owed(exam: Examination, before: set[Place]) -> Iterator[Difference]:
    """Yield what was owed at the first look and still is, by kind, book and reader."""
    counts: Counter[tuple[str, str, str]] = Counter()
    oldest: dict[tuple[str, str, str], int] = {}
    for one in pending.read(exam.scope.journal):
        if one.place not in before:
            continue
        reader = _SERVER if one.is_owed else _FILES
        for book in one.books:
            if exam.scope.has_account(account_of(book)):
                group = (one.kind, book, reader)
                counts[group] += 1
                oldest[group] = min(one.stamp, oldest.get(group, one.stamp))
    for (kind, book, reader), count in sorted(counts.items()):
        since = clock.in_shanghai(datetime.fromtimestamp(oldest[kind, book, reader] / 1e9, UTC))
        yield Difference(
            Kind.JOURNALS,
            Problem.OWED,
            f"{kind} {book}",
            reader,
            Side("journal", told(ENTRIES, count=count, since=f"{since:%Y-%m-%d %H:%M:%S}")),
            Side(reader, None),
            REPLAY,
            account_of(book),
        )


def _damaged(found: set[Damage]) -> Iterator[Difference]:
    for one in sorted(found, key=str):
        left, right = Side(str(one.path), one.reason), Side("")
        yield Difference(
            Kind.JOURNALS, Problem.DAMAGED, one.path.name, f"@{one.offset}", left, right
        )


def _host_on_files(journal: object) -> Difference:
    left, right = Side(str(journal), ON_FILES), Side("redis")
    return Difference(Kind.JOURNALS, Problem.OWED, "positions", ON_FILES, left, right, REPLAY)
