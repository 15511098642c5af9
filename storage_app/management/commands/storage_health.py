from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from storage_app import create_data_store
from storage_app.stores import breaker
from storage_app.stores.compose import ComposedStore

STATUS = {"ok": 0, "degraded": 1, "down": 2}


class Command(BaseCommand):
    help = "Tell how the stores are. Exit status: 0 all well, 1 degraded, 2 something is down."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        store = create_data_store()
        try:
            components = store.health_check()
            owed = store.owed() if isinstance(store, ComposedStore) else {}
        finally:
            store.close()
        outages = [state for state in breaker.states().values() if state.is_open]
        if options["json"]:
            since = {one.name: f"{one.since}" for one in outages}
            report = {"components": components, "owed": owed, "down_since": since}
            self.stdout.write(json.dumps(report))
        else:
            for name, state in components.items():
                self.stdout.write(f"{name}: {state}")
            for kind, one in owed.items():
                self.stdout.write(f"owed: {one['count']} {kind}, oldest {one['age']:.0f} s")
        sys.exit(max((STATUS[state] for state in components.values()), default=0))
