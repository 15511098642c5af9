"""Trades: ClickHouse and the files complement each other, and a person decides where they
contradict each other.

A trade that a person has decided stands as the ledger has it, so the file follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from storage_app.contract import trade_documents
from storage_app.contract.errors import Conflict, Corrupt
from storage_app.contract.types import Trade
from storage_app.models import TradeConflict
from storage_app.stores.clickhouse import ClickHouseTrades, translating
from storage_app.stores.conflicts import record_conflict
from storage_app.stores.file import trade_lines
from storage_app.stores.file.documents import atomic_write_bytes
from storage_app.stores.file.trade_files import lock_directory
from storage_app.stores.file.trades import FileTrades
from storage_app.verify import pending, trade_rows
from storage_app.verify.repairs.steps import Done, Step, set_aside
from storage_app.verify.scope import Scope
from storage_app.verify.trades import DayRows, read_days
from trades_app.queries import checksums

Change = Callable[[Trade], Trade]


def complement(scope: Scope, step: Step) -> Done:
    """Add to each store the trades of a day that it lacks; record what contradicts the ledger."""
    account, _, day = step.unit.partition(" ")
    rows = read_days(scope, account, [date.fromisoformat(day)])
    owed = pending.trade_uids(scope.journal)
    for uid in owed:
        rows.ledger.pop(uid, None)
        rows.files.pop(uid, None)
    to_ledger = [lines[0] for uid, lines in rows.files.items() if uid not in rows.ledger]
    to_files = [trade for uid, trade in rows.ledger.items() if uid not in rows.files]
    before = {"clickhouse": len(rows.ledger), "files": sum(map(len, rows.files.values()))}
    ClickHouseTrades().write_trades(to_ledger)
    FileTrades(scope.data_dir).write_trades(to_files)
    decided, recorded = _settle_contradictions(rows)
    corrected = _correct_lines(scope, account, int(day[:4]), decided | _surplus(rows))
    after = {
        "clickhouse": before["clickhouse"] + len(to_ledger),
        "files": before["files"] + len(to_files) - _surplus_lines(rows),
        "added to clickhouse": [_describe(one) for one in to_ledger],
        "added to files": [_describe(one) for one in to_files],
        "lines corrected": corrected,
        "trade conflicts": recorded,
    }
    return Done(before, after)


def rebuild_lines(scope: Scope, step: Step) -> Done:
    """Replace a damaged file by its readable lines and the ledger's rows that it lacks."""
    path = scope.data_dir / "trades" / step.unit
    account, year = path.parent.name, int(path.stem)
    with translating():
        days = checksums.sum_days(account, date(year, 1, 1), date(year, 12, 31))
        ledger = [
            trade
            for day in sorted(days)
            for trade in read_days(scope_of_ledger(scope), account, [day]).ledger.values()
        ]
    with lock_directory(path.parent):
        readable, lost = _readable_lines(path)
        missing = [trade for trade in ledger if trade.trade_uid not in readable]
        kept = set_aside(path)
        lines = trade_lines.encode([*readable.values(), *missing])
        atomic_write_bytes(path, trade_lines.HEADER + lines)
    return Done(
        {"lines": len(readable) + lost, "unreadable": lost},
        {"lines": len(readable) + len(missing), "unreadable": 0, "kept as": kept.name},
    )


def open_conflicts(uids: Iterable[str]) -> set[str]:
    """Return the uids whose contradiction waits for a person."""
    found = TradeConflict.objects.filter(trade_uid__in=list(uids), resolved_at=None)
    return set(found.values_list("trade_uid", flat=True))


def scope_of_ledger(scope: Scope) -> Scope:
    """Return the scope without files, to read what ClickHouse has and nothing else."""
    return replace(scope, data_dir=scope.data_dir / "nowhere")


def _settle_contradictions(rows: DayRows) -> tuple[dict[str, Trade], list[str]]:
    """Return the ledger's rows that a person has decided on, and the uids that somebody has to."""
    decided: dict[str, Trade] = {}
    recorded: list[str] = []
    for uid, one in rows.ledger.items():
        for line in rows.files.get(uid, []):
            names = trade_documents.differing_fields(one, line)
            if names and _is_decided(uid, line):
                decided[uid] = one
            elif names:
                record_conflict(line, f"the files differ from ClickHouse in {', '.join(names)}")
                recorded.append(uid)
    return decided, recorded


def _is_decided(uid: str, line: Trade) -> bool:
    digest = trade_documents.digest(line)
    for conflict in TradeConflict.objects.filter(trade_uid=uid, resolved_at__isnull=False):
        standing = conflict.standing and trade_documents.from_document(conflict.standing)
        told = {conflict.offered_digest, standing and trade_documents.digest(standing)}
        if digest in told:
            return True
    return False


def _surplus(rows: DayRows) -> dict[str, Trade]:
    """Return the trades that stand on several lines, all the same."""
    return {uid: lines[0] for uid, lines in rows.files.items() if len(lines) > 1 and _equal(lines)}


def _surplus_lines(rows: DayRows) -> int:
    return sum(len(rows.files[uid]) - 1 for uid in _surplus(rows))


def _equal(lines: Sequence[Trade]) -> bool:
    return not any(trade_documents.differing_fields(lines[0], one) for one in lines[1:])


def _correct_lines(scope: Scope, account: str, year: int, wanted: dict[str, Trade]) -> int:
    """Have each of these trades stand once, as it is wanted; return how many lines changed."""
    if not wanted:
        return 0
    path = scope.data_dir / "trades" / account / f"{year}.csv"
    with lock_directory(path.parent):
        lines: list[Trade] = []
        seen: set[str] = set()
        changed = 0
        for _, trade in trade_rows.read_trades(path):
            right = wanted.get(trade.trade_uid, trade)
            is_again = trade.trade_uid in wanted and trade.trade_uid in seen
            changed += is_again or right is not trade
            seen.add(trade.trade_uid)
            if not is_again:
                lines.append(right)
        atomic_write_bytes(path, trade_lines.HEADER + trade_lines.encode(lines))
    return changed


def _readable_lines(path: Path) -> tuple[dict[str, Trade], int]:
    """Return the trades on the lines that can be read, and how many cannot."""
    readable: dict[str, Trade] = {}
    lost = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if line == trade_lines.HEADER:
            continue
        try:
            trade = trade_rows.parse_line(path, line)
        except Corrupt:
            lost += 1
            continue
        before = readable.setdefault(trade.trade_uid, trade)
        if trade_documents.differing_fields(before, trade):
            raise Conflict(f"{path}: trade {trade.trade_uid} stands on two lines that differ")
    return readable, lost


def _describe(trade: Trade) -> str:
    return f"{trade.code} {trade.order_type} {trade.volume} @ {trade.price:.3f} {trade.trade_uid}"
