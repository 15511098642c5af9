"""Bars: what ClickHouse has is right, and what only the files have is added to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pandas as pd

from storage_app.contract.errors import Corrupt
from storage_app.stores import kline_mirror
from storage_app.stores.clickhouse import ClickHouseKlines, translating
from storage_app.stores.file.documents import locked
from storage_app.stores.file.klines import FACTORS, FileKlines
from storage_app.verify.klines import STATE, path_of, read_factors, read_file
from storage_app.verify.repairs.actions import Action
from storage_app.verify.repairs.steps import Done, Step, set_aside
from storage_app.verify.scope import Scope
from trades_app.queries import bars

# What bars say of where they came from when a repair has put them into ClickHouse.
SOURCE: Final = "repair"


def action_for(unit: str) -> Action:
    return Action.MIRROR_BARS if unit == STATE else Action.WRITE_BARS


def write_bars(scope: Scope, step: Step) -> Done:
    """Bring both sides of a code together."""
    series, _, code = step.unit.partition(" ")
    # All of it, whatever the dates of the comparison.
    scope = replace(scope, since=None, until=None)
    if series == FACTORS:
        return _write_factors(scope, code)
    stored = _read_or_set_aside(scope, series, code)
    with translating():
        ledger = bars.read_bars(series, [code]).assign(code=code)
    surplus = stored[~stored["datetime"].isin(ledger["datetime"])].assign(code=code)
    if not surplus.empty:
        ClickHouseKlines().write_klines(surplus, series, SOURCE)
    if not ledger.empty:
        FileKlines(scope.data_dir).write_klines(ledger, series)
    changed = _count_changed(stored, ledger)
    return Done(
        {"clickhouse": len(ledger), "files": len(stored)},
        {
            "clickhouse": len(ledger) + len(surplus),
            "files": len(ledger) + len(surplus),
            "added to clickhouse": len(surplus),
            "written to files": changed,
        },
    )


def mirror_bars(scope: Scope, step: Step) -> Done:
    """Write the whole tree of files anew, since nobody knows what it has."""
    state = scope.data_dir / "klines" / STATE
    with locked(state.with_name("files")):
        kept = set_aside(state)
    written = kline_mirror.refresh(scope.data_dir).written
    return Done({"damaged": kept.name}, {"codes written": written})


def _read_or_set_aside(scope: Scope, series: str, code: str) -> pd.DataFrame:
    try:
        return read_file(scope, series, code)
    except Corrupt as exc:
        set_aside(exc.path)
        return read_file(scope, series, code)


def _count_changed(stored: pd.DataFrame, ledger: pd.DataFrame) -> int:
    """Return how many bars of ClickHouse the file did not have like that."""
    names = [name for name in stored.columns if name in ledger.columns and name != "code"]
    both = ledger[names].merge(stored[names], how="left", on=names, indicator=True)
    return int((both["_merge"] == "left_only").sum())


def _write_factors(scope: Scope, code: str) -> Done:
    path = path_of(scope, FACTORS, code)
    try:
        stored = read_factors(path)
    except Corrupt:
        set_aside(path)
        stored = {}
    with translating():
        ledger = bars.read_factors([code])
    surplus = {day: one for day, one in stored.items() if day not in set(ledger["ex_date"])}
    if surplus:
        frame = pd.DataFrame({"code": code, "ex_date": [*surplus], "factor": [*surplus.values()]})
        ClickHouseKlines().write_adjust_factors(frame, SOURCE)
    if not ledger.empty:
        FileKlines(scope.data_dir).write_adjust_factors(ledger)
    before = {"clickhouse": len(ledger), "files": len(stored)}
    return Done(before, dict.fromkeys(before, len(ledger) + len(surplus)))
