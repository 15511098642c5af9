"""The net values of an account become its daily snapshots."""

from __future__ import annotations

from pathlib import Path

from django.utils.translation import gettext_noop, ngettext

from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.assets import AssetFile, read_assets
from storage_app.models import AccountSnapshot
from storage_app.services import capital
from storage_app.services.actors import Actor

KIND = gettext_noop("net values")
SOURCE = "legacy"


def import_net_values(path: Path, account: str, actor: Actor, *, dry_run: bool) -> ImportResult:
    """Import one file; what the trading program recorded itself stays as it is."""
    content = read_assets(path)
    rows = [capital.DayCapital(day, value) for day, value in content.values.items()]
    if dry_run:
        count = _count_known(account, content)
    else:
        count = capital.import_snapshots(actor, account, rows, SOURCE)
    kept = ngettext(
        "%(count)d kept as the trading program recorded it",
        "%(count)d kept as the trading program recorded them",
        count.superseded,
    ) % {"count": count.superseded}
    rejects = sorted(content.rejected, key=lambda row: row.line)
    return ImportResult(
        path,
        KIND,
        read=len(content.values) + content.superseded + len(rejects),
        new=count.new,
        same=count.same + count.superseded + content.superseded,
        rejects=rejects,
        note=join_notes(content.note, kept if count.superseded else ""),
    )


def _count_known(account: str, content: AssetFile) -> capital.SnapshotCount:
    stored = {
        row.trade_date: row for row in AccountSnapshot.objects.filter(account__account_id=account)
    }
    known = [row for day, row in stored.items() if day in content.values]
    same = sum(row.total_assets == content.values[row.trade_date] for row in known)
    kept = sum(
        row.source == capital.TRADER and row.total_assets != content.values[row.trade_date]
        for row in known
    )
    return capital.SnapshotCount(len(content.values) - same - kept, same, kept)
