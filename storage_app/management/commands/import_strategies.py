from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.utils.translation import gettext as _

from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import StrategyType
from storage_app.contract.watching import Watch
from storage_app.imports.results import refusal
from storage_app.imports.strategies import KIND, StrategyOptions, import_strategies
from storage_app.legacy.strategies import find_strategy_files
from storage_app.legacy.text import LegacyFileError
from storage_app.management.family import FamilyCommand, Options, Outcome
from storage_app.management.importing import Tally
from storage_app.services.actors import command


class Command(FamilyCommand):
    help = (
        "Import strategies with their parameters: the PoolConf, BuyConf and SellConf of a "
        "run_*.py, or a strategies.json. Scripts are read, never run; what cannot be known "
        "without running them is rejected with its line."
    )
    without = {
        "account": "strategies belong to no account",
        "resume": "a file of strategies is short",
        "since": "parameters have no dates",
        "until": "parameters have no dates",
        "batch_size": "a strategy is one write",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a file, or the directory of the scripts")
        parser.add_argument("--name", help="default: STRATEGY_NAME of the script, else its name")
        parser.add_argument("--code", help="default: the name of the script without run_")
        parser.add_argument("--type", choices=[*StrategyType])
        parser.add_argument("--program-version", metavar="X.Y.Z", help="default: 1.0.0")

    def work(self, options: Options, watch: Watch) -> Outcome:
        own = options.own
        files = find_strategy_files(own["path"])
        if len(files) > 1 and (own["name"] or own["code"]):
            raise InvalidInput("--name and --code need a single file")
        tally = Tally(files[0].parent, dry_run=options.dry_run)
        chosen = StrategyOptions(
            name=own["name"],
            code=own["code"],
            type=own["type"],
            version=own["program_version"],
            dry_run=options.dry_run,
        )
        actor = command("import_strategies")
        for done, path in enumerate(files, start=1):
            try:
                tally.results.append(import_strategies(path, actor, chosen))
            except LegacyFileError as exc:
                tally.results.append(refusal(path, KIND, exc))
            watch.step(_(KIND), done, len(files), _("files"))
        return tally.outcome()
