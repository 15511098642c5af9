"""The same with either relational database; SQLite has no snapshot by design and is told so."""

from __future__ import annotations

import pytest
from django.db import connection

from storage_app.verify import wording

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("known_calendar"),
]


def test_stores_agree_and_a_missing_snapshot_is_explained(platform):
    report = platform.verify()
    assert (report.is_clean, report.findings) == (True, [])
    is_embedded = connection.vendor == "sqlite"
    told = any("SQLite" in note for note in wording.notes(report.summary["notes"]))
    assert told is is_embedded
    assert ("accounts" in report.summary["compared"]) is not is_embedded
