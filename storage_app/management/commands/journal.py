from __future__ import annotations

import json
import logging
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from storage_app.contract.arguments import parse_book, parse_code
from storage_app.contract.errors import StorageError
from storage_app.contract.rules import parse_reason
from storage_app.services import books as book_services
from storage_app.services.actors import command
from storage_app.stores import books, journal
from storage_app.stores.draining import drain
from storage_app.stores.position_conflicts import describe
from trades_app.market import clock

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Look at what this host has acknowledged, and decide about its books. status: what is "
        "owed, stopped and damaged; replay: bring owed entries to the servers; inspect: list the "
        "entries that are kept; claim BOOK: let this host change a book while Redis is down; "
        "resolve BOOK CODE: say which side of a position that stopped counts."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("status", "replay", "inspect", "claim", "resolve"))
        parser.add_argument("book", nargs="?", help="claim, resolve: account or account/namespace")
        parser.add_argument("code", nargs="?", help="resolve: the code that stopped")
        parser.add_argument("--data-dir", type=Path, default=None)
        parser.add_argument("--owed", action="store_true", help="inspect: only what is owed")
        parser.add_argument("--timeout", type=float, default=30.0, help="replay: seconds to try")
        parser.add_argument(
            "--keep", choices=("host", "redis"), help="resolve: the side that counts"
        )
        parser.add_argument("--reason", default="", help="claim, resolve: for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir = options["data_dir"] or settings.DATA_DIR
        try:
            self._act(data_dir, options)
        except StorageError as exc:
            raise CommandError(str(exc)) from exc

    def _act(self, data_dir: Path, options: dict[str, Any]) -> None:
        match options["action"]:
            case "inspect":
                self._inspect(data_dir / "journal", only_owed=options["owed"])
            case "claim":
                self._claim(data_dir, _book(options), options["reason"])
            case "resolve":
                self._resolve(data_dir, options)
            case "replay":
                drain(data_dir, options["timeout"])
                self._report(data_dir)
            case _:
                self._report(data_dir)

    def _claim(self, data_dir: Path, book: str, reason: str) -> None:
        before, host = books.claim(data_dir, book)
        self.stdout.write(f"{book}: the lease is held by {host}, before by {before or 'nobody'}")
        self._audit(
            lambda: book_services.record_claim(command("journal claim"), book, before, host, reason)
        )

    def _resolve(self, data_dir: Path, options: dict[str, Any]) -> None:
        book, keep = _book(options), options["keep"]
        if not options["code"] or not keep:
            raise CommandError("resolve takes BOOK CODE --keep host|redis --reason WHY")
        code, reason = parse_code(options["code"]), parse_reason(options["reason"])
        states = books.resolve(data_dir, book, code, keep_host=keep == "host")
        before, after = map(describe, states)
        self.stdout.write(f"{book} {code}: {before} → {after}")
        self._audit(
            lambda: book_services.record_decision(
                command("journal resolve"), book, code, before, after, keep, reason
            )
        )

    def _audit(self, record: Callable[[], None]) -> None:
        """Write an audit row; what was decided stands without it while the database is down."""
        try:
            record()
        except DatabaseError as exc:
            logger.warning("No audit row was written: %s", exc)
            self.stderr.write(f"no audit row was written: {exc}")

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

    def _report(self, data_dir: Path) -> None:
        """Say what is owed; an error status if anything is owed to a server or damaged."""
        entries, damage = journal.inspect(data_dir / "journal")
        stopped = books.stopped(data_dir)
        owed = [entry for entry in entries if not entry.marks[journal.PRIMARY]]
        behind = [entry for entry in entries if not entry.marks[journal.MIRROR]]
        self.stdout.write(f"kept: {len(entries)} entries")
        for kind, count in sorted(Counter(entry.kind for entry in owed).items()):
            self.stdout.write(f"owed to a server: {count} {kind}")
        for kind, count in sorted(Counter(entry.kind for entry in behind).items()):
            self.stdout.write(f"not in the files yet: {count} {kind}")
        for conflict in stopped:
            self.stdout.write(f"stopped: {conflict}")
        for one in damage:
            self.stdout.write(f"damaged: {one}")
        if owed or damage or stopped:
            oldest = max((entry.age for entry in owed), default=0.0)
            raise CommandError(
                f"{len(owed)} entries are owed, the oldest for {oldest:.0f} s; "
                f"{len(stopped)} positions stopped; {len(damage)} places are damaged",
                returncode=1,
            )


def _book(options: dict[str, Any]) -> str:
    if not options["book"]:
        raise CommandError("name the book: account or account/namespace")
    return parse_book(options["book"])


def _state(entry: journal.Entry) -> str:
    if all(entry.marks):
        return "done"
    return "mirror" if entry.marks[journal.PRIMARY] else "owed"
