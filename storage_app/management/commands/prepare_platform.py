from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from argparse import ArgumentParser
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections, transaction
from django.db.migrations.executor import MigrationExecutor

from storage_app.models import Account, User
from storage_app.services import audit, schedule
from storage_app.services.actors import command

DEMO = settings.BASE_DIR / "demo" / "silverquant"
DEMO_ACCOUNT = "55009728"
ADMIN = "admin"
SECONDS_FOR_CLICKHOUSE = 60.0


class Command(BaseCommand):
    help = (
        "Make the platform ready to serve: migrate both databases, collect static files, seed "
        "jobs, make the first administrator and, on the first start, import the demo. "
        "Doing it again changes nothing."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="leave the demo out")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        try:
            self._migrate("default")
            for name in schedule.seed():
                self.stdout.write(f"scheduled: {name}")
            self._ensure_administrator()
            self._collect_static_files()
            _wait_for_clickhouse()
            self._migrate("clickhouse")
            if not options["no_demo"]:
                self._import_demo()
        except DatabaseError as exc:
            raise CommandError(str(exc).partition("\n")[0]) from exc

    def _migrate(self, alias: str) -> None:
        executor = MigrationExecutor(connections[alias])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", database=alias, interactive=False, verbosity=0)
            self.stdout.write(f"migrated: {alias}")

    def _ensure_administrator(self) -> None:
        """Keep the generated password in a file until the person has changed it."""
        kept = settings.DATA_DIR / "admin_password"
        administrator = User.objects.filter(username=ADMIN).first()
        if administrator is None and not User.objects.filter(is_superuser=True).exists():
            self._make_administrator(kept)
        elif kept.exists() and not (
            administrator and administrator.check_password(kept.read_text().strip())
        ):
            kept.unlink()

    def _make_administrator(self, kept: Path) -> None:
        password = secrets.token_urlsafe(12)
        kept.touch(mode=0o600)
        kept.write_text(f"{password}\n")
        with transaction.atomic():
            user = User.objects.create_superuser(ADMIN, password=password)
            audit.created(command("prepare_platform"), user, "first administrator")
        self.stdout.write(f"made the user {ADMIN}; the password is in {kept}")

    def _collect_static_files(self) -> None:
        stamp = settings.DATA_DIR / "static.stamp"
        wanted = _fingerprint()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(wanted)
        self.stdout.write("collected the static files")

    def _import_demo(self) -> None:
        """Import once; a run that was cut off is taken up again, a database in use left alone."""
        marker = settings.DATA_DIR / "demo.json"
        begun = json.loads(marker.read_text()) if marker.exists() else None
        if (begun or {}).get("done") or (begun is None and Account.objects.exists()):
            return
        marker.write_text(json.dumps({"done": False}))
        arguments = ["--account", DEMO_ACCOUNT, "--environment", "paper", "--broker", "QMT"]
        if not Account.objects.filter(account_id=DEMO_ACCOUNT).exists():
            arguments.append("--create-account")
        call_command("import_legacy", str(DEMO), *arguments, "--demo", stdout=self.stdout)
        marker.write_text(json.dumps({"done": True}))


def _wait_for_clickhouse() -> None:
    """Give a ClickHouse that was started at the same time as this command the time to come up."""
    server = settings.DATABASES["clickhouse"]
    deadline = time.monotonic() + SECONDS_FOR_CLICKHOUSE
    while True:
        try:
            socket.create_connection((server["HOST"], server["PORT"]), timeout=1).close()
        except OSError as exc:
            if time.monotonic() > deadline:
                place = f"{server['HOST']}:{server['PORT']}"
                raise CommandError(f"no ClickHouse at {place}: {exc.strerror or exc}") from exc
            time.sleep(0.1)
        else:
            return


def _fingerprint() -> str:
    """Change with every installed package and every static file of our own."""
    packages = sorted(f"{one.name} {one.version}" for one in distributions())
    root = settings.BASE_DIR / "storage_app" / "static"
    own = sorted(
        f"{path.relative_to(root)} {path.stat().st_mtime_ns}"
        for path in root.rglob("*")
        if path.is_file()
    )
    return hashlib.sha256("\n".join([*packages, *own]).encode()).hexdigest()
