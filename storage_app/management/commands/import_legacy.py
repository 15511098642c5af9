from __future__ import annotations

from argparse import ArgumentParser

from storage_app.contract.types import Broker, Environment
from storage_app.imports.accounts import WantedAccount, ensure_account
from storage_app.legacy.directory import LegacyDirectory
from storage_app.management.family import Options
from storage_app.management.importing import (
    ImportCommand,
    add_adjust,
    add_assume_filled,
    add_replace_positions,
    add_zone,
    amount,
)
from storage_app.services.actors import Actor


class Command(ImportCommand):
    help = (
        "Import a SilverQuant directory: trading days, positions, orders, net values and daily "
        "bars. Running it again adds nothing. Exit status: 0 done, 1 rows or files were "
        "rejected, 2 wrong use, 3 a server is down."
    )
    needs_account = True
    place = "SilverQuant's _cache directory"

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        super().add_own_arguments(parser)
        parser.add_argument("--create-account", action="store_true", help="open it if missing")
        parser.add_argument("--environment", choices=[*Environment])
        parser.add_argument("--broker", choices=[*Broker])
        parser.add_argument(
            "--capital", type=amount, help="initial capital; default: first value of assets.csv"
        )
        parser.add_argument("--name", help="name of a new account; default: its number")
        parser.add_argument("--demo", action="store_true", help="mark a new account as a demo")
        add_adjust(parser)
        add_zone(parser)
        add_assume_filled(parser)
        add_replace_positions(parser)

    def prepare(self, directory: LegacyDirectory, options: Options, actor: Actor) -> dict[str, str]:
        own = options.own
        wanted = WantedAccount(
            account_id=options.account or "",
            may_create=own["create_account"],
            name=own["name"],
            broker=own["broker"],
            environment=own["environment"],
            capital=own["capital"],
            is_demo=own["demo"],
        )
        said = ensure_account(wanted, directory.books, actor, dry_run=options.dry_run)
        return {"account": said}
