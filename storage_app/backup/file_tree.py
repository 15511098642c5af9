"""An export as a DATA_DIR: set DATA_STORE_MODE=file and DATA_DIR to it, and trade on."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from storage_app.backup import scope as scopes
from storage_app.backup.scope import Scope
from storage_app.contract import rules
from storage_app.contract.types import BookCopy
from storage_app.contract.watching import Watch
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.documents import Document, updating
from storage_app.stores.file.klines import FileKlines
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.file.strategies import FileStrategies
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from trades_app.market import clock

Counts = dict[str, int]


def write(root: Path, data_dir: Path, scope: Scope, watch: Watch) -> Counts:
    """Write everything in scope; again, it adds what is missing."""
    return {
        "strategies": _write_strategies(root),
        "accounts": _write_accounts(root, scope),
        "capital": _write_capital(root, scope),
        "books": _write_books(root, scope, watch),
        "trades": _write_trades(root, scope, watch),
        "klines": _write_bars(root, scope, watch),
        "factors": _write_factors(root),
        "calendar": _write_calendar(root, data_dir),
    }


def _write_strategies(root: Path) -> int:
    source, files = OrmStrategies(), FileStrategies(root)
    files.load_snapshot(source.dump, source.dump_params)
    return len(files.list_strategies())


def _write_accounts(root: Path, scope: Scope) -> int:
    document = OrmAccounts().dump()
    document["accounts"] = {
        number: entry for number, entry in document["accounts"].items() if scope.has(number)
    }
    document["bindings"] = [one for one in document["bindings"] if scope.has(one["account_id"])]
    FileAccounts(root).load_snapshot(lambda: document)
    return len(document["accounts"])


def _write_capital(root: Path, scope: Scope) -> int:
    count = 0
    for account in scopes.accounts(scope):
        days = {
            f"{one.trade_date}": _capital_of(one)
            for one in scopes.snapshots(scope, account.account_id)
        }
        count += len(days)
        if days:
            with updating(root / "assets" / f"{account.account_id}.json") as document:
                document.update(days)
    return count


def _capital_of(snapshot: Any) -> Document:
    figures = rules.Capital(
        snapshot.total_assets, snapshot.current_capital, snapshot.position_value
    )
    plain = {name: None if one is None else str(one) for name, one in asdict(figures).items()}
    recorded_at = clock.in_shanghai(snapshot.recorded_at).isoformat()
    return {**plain, "recorded_at": recorded_at, "source": snapshot.source}


def _write_books(root: Path, scope: Scope, watch: Watch) -> int:
    files, count = FilePositions(root), 0
    for book, copy in scopes.books(scope):
        # No mirror of anything: the marks stay with the server.
        files.load_copy(book, BookCopy(copy.state, copy.applied))
        count += 1
        watch.step(_("books of positions"), count)
    return count


def _write_trades(root: Path, scope: Scope, watch: Watch) -> int:
    files, count = FileTrades(root), 0
    for account_id in scopes.account_ids(scope):
        for month in scopes.trades(scope, account_id):
            files.write_trades(month)
            count += len(month)
            watch.step(_("trades"), count, unit=_("rows"))
    return count


def _write_bars(root: Path, scope: Scope, watch: Watch) -> int:
    files, rows = FileKlines(root), 0
    for adjust in scopes.series():
        days = scopes.bar_days(adjust)
        done = 0
        for codes, frame in scopes.bar_frames(scope, adjust, days):
            if len(frame):
                files.write_klines(frame, adjust)
            rows += len(frame)
            done += len(codes)
            watch.step(_("daily bars"), done, len(days), _("codes"))
    return rows


def _write_factors(root: Path) -> int:
    frame = scopes.factors()
    if len(frame):
        FileKlines(root).write_adjust_factors(frame)
    return len(frame)


def _write_calendar(root: Path, data_dir: Path) -> int:
    source = data_dir / "calendar.csv"
    if not source.exists():
        return 0
    shutil.copyfile(source, root / "calendar.csv")
    return len(source.read_text(encoding="utf-8-sig").splitlines()) - 1
