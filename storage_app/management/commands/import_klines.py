from __future__ import annotations

from argparse import ArgumentParser

from storage_app.legacy.directory import Part
from storage_app.management.importing import ImportCommand, add_adjust


class Command(ImportCommand):
    help = (
        "Import daily bars, a CSV file per code, from folders like _daily_akshare. Whether volume "
        "is lots or shares is found out for each file and said."
    )
    parts = (Part.KLINES,)
    place = "SilverQuant's _cache directory, one folder of bars, or one file"
    without = {"account": "bars belong to no account"}

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        super().add_own_arguments(parser)
        add_adjust(parser)
