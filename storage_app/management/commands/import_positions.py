from __future__ import annotations

from argparse import ArgumentParser

from storage_app.legacy.directory import Part
from storage_app.management.importing import ImportCommand, add_replace_positions


class Command(ImportCommand):
    help = (
        "Import held days and price extremes: positions.json or held_days.json with max_price.json "
        "and min_price.json. Several folders become several books of the account."
    )
    parts = (Part.POSITIONS,)
    needs_account = True
    without = {
        "since": "a book has one state",
        "until": "a book has one state",
        "batch_size": "a book is one write",
    }

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        super().add_own_arguments(parser)
        add_replace_positions(parser)
