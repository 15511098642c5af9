from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from storage_app.stores import journal
from storage_app.stores.draining import drain
from trades_app.market import clock


class Command(BaseCommand):
    help = (
        "Look at what this host has acknowledged. status: what is owed and damaged; replay: "
        "bring owed entries to the servers; inspect: list the entries that are kept."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("status", "replay", "inspect"))
        parser.add_argument("--data-dir", type=Path, default=None)
        parser.add_argument("--owed", action="store_true", help="inspect: only what is owed")
        parser.add_argument("--timeout", type=float, default=30.0, help="replay: seconds to try")

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir = options["data_dir"] or settings.DATA_DIR
        directory = data_dir / "journal"
        if options["action"] == "inspect":
            self._inspect(directory, only_owed=options["owed"])
            return
        if options["action"] == "replay":
            drain(data_dir, options["timeout"])
        self._report(directory)

    def _inspect(self, directory: Path, *, only_owed: bool) -> None:
        entries, damage = journal.inspect(directory)
        for entry in entries:
            if only_owed and all(entry.marks):
                continue
            at = clock.in_shanghai(datetime.fromtimestamp(entry.stamp / 1e9, UTC))
            body = json.dumps(entry.body, ensure_ascii=False)
            self.stdout.write(f"{at:%Y-%m-%d %H:%M:%S.%f} {_state(entry)} {entry.kind} {body}")
        for one in damage:
            self.stderr.write(f"damaged: {one}")

    def _report(self, directory: Path) -> None:
        """Say what is owed; an error status if anything is owed to a server or damaged."""
        entries, damage = journal.inspect(directory)
        owed = [entry for entry in entries if not entry.marks[journal.PRIMARY]]
        behind = [entry for entry in entries if not entry.marks[journal.MIRROR]]
        self.stdout.write(f"kept: {len(entries)} entries")
        for kind, count in sorted(Counter(entry.kind for entry in owed).items()):
            self.stdout.write(f"owed to a server: {count} {kind}")
        for kind, count in sorted(Counter(entry.kind for entry in behind).items()):
            self.stdout.write(f"not in the files yet: {count} {kind}")
        for one in damage:
            self.stdout.write(f"damaged: {one}")
        if owed or damage:
            oldest = max((entry.age for entry in owed), default=0.0)
            raise CommandError(
                f"{len(owed)} entries are owed, the oldest for {oldest:.0f} s; "
                f"{len(damage)} places are damaged",
                returncode=1,
            )


def _state(entry: journal.Entry) -> str:
    if all(entry.marks):
        return "done"
    return "mirror" if entry.marks[journal.PRIMARY] else "owed"
