from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal
from pathlib import Path

from storage_app.contract.types import Environment
from storage_app.contract.watching import Watch
from storage_app.imports.accounts import AccountOptions, import_accounts
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.management.importing import Tally, amount
from storage_app.services.actors import command

CREDENTIALS = "credentials.py"


class Command(FamilyCommand):
    help = (
        "Open the accounts that credentials.py names (QMT_ACCOUNT_ID, GM_ACCOUNT_ID), or an "
        "accounts.json. The file is read, never run. An account needs its capital: given, or the "
        "first value of the assets.csv of its cache directory."
    )
    without = {
        "resume": "a file of accounts is short",
        "since": "accounts have no dates",
        "until": "accounts have no dates",
        "batch_size": "accounts are opened one by one",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the file, or the directory it lies in")
        parser.add_argument(
            "--capital",
            type=_capital,
            action="append",
            default=[],
            metavar="[ACCOUNT=]AMOUNT",
            help="initial capital, of all accounts or of one; may be repeated",
        )
        parser.add_argument(
            "--name", type=_pair, action="append", default=[], metavar="ACCOUNT=NAME"
        )
        parser.add_argument(
            "--environment",
            choices=[*Environment],
            help="default: QMT accounts are live, GM accounts paper",
        )

    def work(self, options: Options, watch: Watch) -> Outcome:
        path = options.own["path"]
        if path.is_dir():
            path = path / CREDENTIALS
        capital = dict(options.own["capital"])
        chosen = AccountOptions(
            only=options.account,
            any_capital=capital.pop("", None),
            capital=capital,
            names=dict(options.own["name"]),
            environment=options.own["environment"],
            dry_run=options.dry_run,
            watch=watch,
        )
        result = import_accounts(path, command("import_accounts"), chosen)
        return Tally(path.parent, [result], dry_run=options.dry_run).outcome()


def _capital(text: str) -> tuple[str, Decimal]:
    account, _, value = text.rpartition("=")
    return account, amount(value)


def _pair(text: str) -> tuple[str, str]:
    account, is_pair, name = text.partition("=")
    if not is_pair:
        raise ArgumentTypeError(f"{text!r} is not like 55009728=NAME")
    return account, name
