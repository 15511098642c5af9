from __future__ import annotations

from storage_app.legacy.directory import Part
from storage_app.management.importing import ImportCommand


class Command(ImportCommand):
    help = (
        "Import a list of trading days, _open_day_list_sina.csv: inside its span it decides, "
        "outside all known days stay."
    )
    parts = (Part.CALENDAR,)
    without = {
        "account": "trading days belong to no account",
        "resume": "the list is one write",
        "since": "the whole list counts",
        "until": "the whole list counts",
        "batch_size": "the list is one write",
    }
