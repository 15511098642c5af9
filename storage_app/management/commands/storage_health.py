from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from storage_app import create_data_store
from storage_app.stores.condition import Condition, conditions
from trades_app.market import clock

STATUS = {"ok": 0, "degraded": 1, "down": 2}


class Command(BaseCommand):
    help = "Tell how the stores are. Exit status: 0 all well, 1 degraded, 2 something is down."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        store = create_data_store()
        try:
            found = conditions(store, settings.DATA_DIR)
        finally:
            store.close()
        if options["json"]:
            components = {
                name: {**one.public, "reason": one.reason} if one.reason else one.public
                for name, one in found.items()
            }
            self.stdout.write(json.dumps({"components": components}, ensure_ascii=False))
        else:
            self._write(found)
        sys.exit(max((STATUS[one.state] for one in found.values()), default=0))

    def _write(self, found: dict[str, Condition]) -> None:
        for name, one in found.items():
            line = f"{name}: {one.state}"
            if one.since is not None:
                since = clock.in_shanghai(one.since)
                line += f" since {since:%Y-%m-%d %H:%M:%S}: {one.reason or 'it does not answer'}"
            self.stdout.write(line)
            for kind, owed in one.owed.items():
                self.stdout.write(f"    owed: {owed.count} {kind}, oldest {owed.age:.0f} s")
