from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from storage_app.contract.errors import StorageError
from storage_app.stores import kline_mirror


class Command(BaseCommand):
    help = (
        "Bring the CSV files of daily bars on this host up to ClickHouse, for codes that have "
        "changed since the last run; they answer while ClickHouse is down."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data-dir", type=Path, default=None)
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = kline_mirror.refresh(options["data_dir"] or settings.DATA_DIR)
        except StorageError as exc:
            raise CommandError(str(exc)) from exc
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result)))
            return
        for series, count in result.written.items():
            unchanged = result.unchanged[series]
            self.stdout.write(f"{series}: {count} codes written, {unchanged} unchanged")
