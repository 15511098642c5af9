"""Bars and adjust factors of an export come in, a batch of codes at a time."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

import pandas as pd
from django.utils.translation import gettext as _

from storage_app.backup import scope as scopes
from storage_app.backup.scope import Scope
from storage_app.backup.tally import Tally
from storage_app.contract.types import Adjust
from storage_app.contract.watching import Watch
from storage_app.stores.clickhouse import ClickHouseKlines, translating
from storage_app.stores.file.klines import FACTORS, FileKlines
from trades_app.bar_frames import BAR_COLUMNS
from trades_app.queries import bars

_CODES: Final = 100
_SOURCE: Final = "export"
_KEYS: Final = ["code", "datetime"]
_TICKS: Final = 1000
_SHOWN: Final = 20
# Factors have nine decimals.
_LEAST_FACTOR: Final = 1e-9


def import_bars(root: Path, scope: Scope, watch: Watch, *, dry_run: bool) -> Tally:
    tally = Tally("klines")
    files, store = FileKlines(root), ClickHouseKlines()
    for adjust in (one.value for one in Adjust):
        codes = iter(sorted(path.stem for path in (root / "klines" / adjust).glob("*.csv")))
        while batch := list(islice(codes, _CODES)):
            theirs = files.read_kline_frame(batch, scope.since, scope.until, adjust)
            theirs = theirs.assign(code=theirs["code"].astype(object))
            with translating():
                ours = bars.read_bars(adjust, batch, scope.since, scope.until)
            lacking = _compare(tally, adjust, theirs, ours.assign(code=ours["code"].astype(object)))
            if len(lacking) and not dry_run:
                store.write_klines(lacking, adjust, _SOURCE)
            watch.step(_("daily bars"), tally.read)
    return tally


def _compare(tally: Tally, adjust: str, theirs: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Count the rows; return those that do not stand yet."""
    both = theirs.merge(ours, on=_KEYS, how="left", suffixes=("", "_ours"), indicator=True)
    is_new = (both["_merge"] == "left_only").to_numpy()
    is_same = ~is_new
    for name in BAR_COLUMNS[1:]:
        ticks = (both[name] * _TICKS).round(), (both[f"{name}_ours"] * _TICKS).round()
        is_same &= (ticks[0] == ticks[1]).to_numpy()
    differing = both[~is_new & ~is_same]
    tally.new += int(is_new.sum())
    tally.same += int(is_same.sum())
    for row in differing.head(_SHOWN).to_dict("records"):
        values = f"close {row['close_ours']} stands, the export has {row['close']}"
        tally.reject(f"bar {row['code']} {row['datetime']} ({adjust}): {values}")
    if len(differing) > _SHOWN:
        left = len(differing) - _SHOWN
        tally.reject(f"and {left} more bars ({adjust})", left)
    return theirs[is_new]


def import_factors(root: Path, *, dry_run: bool) -> Tally:
    tally = Tally("factors")
    parts = [
        pd.read_csv(path).assign(code=path.stem)
        for path in sorted((root / "klines" / FACTORS).glob("*.csv"))
    ]
    if not parts:
        return tally
    ours = {(code, day): factor for code, day, factor in _factor_rows(scopes.factors())}
    theirs = pd.concat(parts, ignore_index=True).astype({"ex_date": "int64"})
    missing: list[int] = []
    for place, (code, day, factor) in enumerate(_factor_rows(theirs)):
        standing = ours.get((code, day))
        if standing is None:
            tally.new += 1
            missing.append(place)
        elif abs(standing - factor) < _LEAST_FACTOR:
            tally.same += 1
        else:
            tally.reject(f"factor {code} {day}: {standing} stands, the export has {factor}")
    if missing and not dry_run:
        ClickHouseKlines().write_adjust_factors(theirs.iloc[missing], _SOURCE)
    return tally


def _factor_rows(frame: pd.DataFrame) -> list[tuple[str, int, float]]:
    columns = (frame[name].tolist() for name in ("code", "ex_date", "factor"))
    return list(zip(*columns, strict=True))
