from __future__ import annotations

from argparse import ArgumentParser

from storage_app.legacy.directory import Part
from storage_app.management.importing import ImportCommand, add_assume_filled, add_zone


class Command(ImportCommand):
    help = (
        "Import the order logs deal_hist.csv, trades.csv and trade_records.csv, of any size. A row "
        "that is stored already adds nothing; two equal rows of one file are two orders."
    )
    parts = (Part.TRADES,)
    needs_account = True

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        super().add_own_arguments(parser)
        add_zone(parser)
        add_assume_filled(parser)
