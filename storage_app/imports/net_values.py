"""The net values of an account become its daily snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

from django.utils.translation import gettext_noop, ngettext

from storage_app.imports.options import ImportOptions, note_outside
from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.assets import read_assets
from storage_app.models import AccountSnapshot
from storage_app.services import capital
from storage_app.services.actors import Actor

KIND = gettext_noop("net values")
SOURCE = "legacy"


def import_net_values(path: Path, actor: Actor, options: ImportOptions) -> ImportResult:
    """Import one file; what the trading program recorded itself stays as it is."""
    content = read_assets(path)
    values = {day: value for day, value in content.values.items() if options.covers(day)}
    if options.dry_run:
        count = _count_known(options.account_id, values)
    else:
        rows = [capital.DayCapital(day, value) for day, value in values.items()]
        count = capital.import_snapshots(actor, options.account_id, rows, SOURCE)
    kept = ngettext(
        "%(count)d kept as the trading program recorded it",
        "%(count)d kept as the trading program recorded them",
        count.superseded,
    ) % {"count": count.superseded}
    rejects = sorted(content.rejected, key=lambda row: row.line)
    return ImportResult(
        path,
        KIND,
        read=len(values) + content.superseded + len(rejects),
        new=count.new,
        same=count.same + count.superseded + content.superseded,
        rejects=rejects,
        note=join_notes(
            content.note,
            kept if count.superseded else "",
            note_outside(len(content.values) - len(values)),
        ),
    )


def _count_known(account: str, values: Mapping[date, Decimal]) -> capital.SnapshotCount:
    stored = {
        row.trade_date: row for row in AccountSnapshot.objects.filter(account__account_id=account)
    }
    known = [row for day, row in stored.items() if day in values]
    same = sum(row.total_assets == values[row.trade_date] for row in known)
    kept = sum(
        row.source == capital.TRADER and row.total_assets != values[row.trade_date] for row in known
    )
    return capital.SnapshotCount(len(values) - same - kept, same, kept)
