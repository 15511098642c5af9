"""Daily bars: ClickHouse against the tree of CSV files, for the codes that are mirrored.

The tree is refreshed once a night and remembers the version of each code that it has. Bars that
ClickHouse has got since then are left out on both sides, so that a difference is one at any hour.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from storage_app.contract.errors import Corrupt
from storage_app.stores.clickhouse import translating
from storage_app.stores.file.documents import read_document
from storage_app.stores.file.klines import FACTORS, FileKlines
from storage_app.verify.differences import Difference, Kind, Problem, Side, damaged, told
from storage_app.verify.scope import Examination, Scope
from trades_app.checksums import bar_hashes, sum_hashes
from trades_app.quality import FEN_PER_YUAN, PRICES, TICKS_PER_YUAN, scaled
from trades_app.queries import bars, checksums
from trades_app.queries.checksums import BarSum

BATCH_CODES: Final = 200
# Differences told bar by bar; codes beyond are told as a whole.
DETAILED: Final = 1000
LEDGER: Final = "clickhouse daily_kline"
FACTOR_LEDGER: Final = "clickhouse adjust_factor"
STATE: Final = "mirrored.json"
_VALUES: Final = (*PRICES, "volume", "amount")
_NO_BARS: Final = BarSum(0, 0, 0, 0)
_SUMS: Final = ("rows", "first", "last", "checksum")


@dataclass(frozen=True, slots=True)
class _Batch:
    """Codes of one series with the version that the files have, and both sides' sums."""

    series: str
    versions: Mapping[str, int]
    ledger: Mapping[str, BarSum]
    files: Mapping[str, BarSum]
    unreadable: Mapping[str, Corrupt]

    @property
    def differing(self) -> list[str]:
        return [
            code
            for code in self.files
            if _plain(self.ledger.get(code)) != _plain(self.files.get(code))
        ]


def compare(exam: Examination) -> Iterator[Difference]:
    scope = exam.scope
    if not scope.keeps_mirror:
        exam.note(gettext_noop("ENABLE_DUAL_WRITE is off: there are no files to compare."))
        return
    try:
        mirrored = read_mirrored(scope)
    except Corrupt as exc:
        yield damaged(Kind.KLINES, exc, STATE)
        return
    if not mirrored:
        exam.note(gettext_noop("No bars have been mirrored into files yet."))
    total = sum(map(len, mirrored.values()))
    done = told = 0
    for series, versions in sorted(mirrored.items()):
        codes = sorted(versions)
        for start in range(0, len(codes), BATCH_CODES):
            exam.step(Kind.KLINES, done + start, total)
            part = {code: versions[code] for code in codes[start : start + BATCH_CODES]}
            for difference in _compare_part(exam, series, part, DETAILED - told):
                told += 1
                yield difference
        done += len(codes)
    exam.step(Kind.KLINES, total, total)


def read_mirrored(scope: Scope) -> dict[str, dict[str, int]]:
    """Return the version that the files have of each code, by series."""
    path = scope.data_dir / "klines" / STATE
    document = read_document(path)
    try:
        return {
            series: {code: int(version) for code, (_, _, version) in codes.items()}
            for series, codes in document.items()
        }
    except (AttributeError, TypeError, ValueError) as exc:
        raise Corrupt(path, f"{type(exc).__name__} {exc}") from exc


def unit_of(series: str, code: str) -> str:
    return f"{series} {code}"


def path_of(scope: Scope, series: str, code: str) -> Path:
    return scope.data_dir / "klines" / series / f"{code}.csv"


def _compare_part(
    exam: Examination, series: str, versions: Mapping[str, int], details: int
) -> Iterator[Difference]:
    exam.counts["codes"] += len(versions)
    if series == FACTORS:
        yield from _settled_factors(exam, versions)
        return
    batch = _sum_both(exam.scope, series, versions)
    exam.counts["bars"] += sum(one.rows for one in batch.ledger.values())
    for code, error in batch.unreadable.items():
        yield damaged(Kind.KLINES, error, unit_of(series, code))
    if not batch.differing:
        return
    # The nightly run may be at it: it writes a file, then what version the file has.
    time.sleep(exam.scope.patience.entries)
    versions = read_mirrored(exam.scope).get(series, {})
    again = {code: versions[code] for code in batch.differing if code in versions}
    batch = _sum_both(exam.scope, series, again)
    for code in batch.differing:
        for difference in _compare_code(exam.scope, batch, code, is_whole=details <= 0):
            details -= 1
            yield difference


def _sum_both(scope: Scope, series: str, versions: Mapping[str, int]) -> _Batch:
    with translating():
        ledger = checksums.sum_bars(series, versions, scope.since, scope.until)
    files: dict[str, BarSum] = {}
    unreadable: dict[str, Corrupt] = {}
    for code in versions:
        try:
            frame = read_file(scope, series, code)
        except Corrupt as exc:
            unreadable[code] = exc
        else:
            files[code] = _sum_frame(_without(frame, ledger.get(code, _NO_BARS).newer))
    return _Batch(series, versions, ledger, files, unreadable)


def read_file(scope: Scope, series: str, code: str) -> pd.DataFrame:
    """Return the bars of a file within the scope, none if there is no file."""
    if not path_of(scope, series, code).exists():
        return pd.DataFrame({name: [] for name in ("datetime", *_VALUES)})
    files = FileKlines(scope.data_dir)
    return files.get_kline(code, scope.since, scope.until, None, series)


def _without(frame: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    return frame[~frame["datetime"].isin(days)] if days else frame


def _sum_frame(frame: pd.DataFrame) -> BarSum:
    if frame.empty:
        return _NO_BARS
    columns = _whole_numbers(frame)
    day = columns[0]
    return BarSum(len(day), int(day.min()), int(day.max()), sum_hashes(bar_hashes(columns)))


def _whole_numbers(frame: pd.DataFrame) -> list[np.ndarray]:
    return [
        frame["datetime"].to_numpy(np.int64),
        *(scaled(frame[name].to_numpy(np.float64), TICKS_PER_YUAN) for name in PRICES),
        frame["volume"].to_numpy(np.int64),
        scaled(frame["amount"].to_numpy(np.float64), FEN_PER_YUAN),
    ]


def _plain(one: BarSum | None) -> tuple[int, int, int, int]:
    return (one.rows, one.first, one.last, one.checksum) if one and one.rows else (0, 0, 0, 0)


def _compare_code(
    scope: Scope, batch: _Batch, code: str, *, is_whole: bool
) -> Iterator[Difference]:
    series = batch.series
    one, other = batch.ledger.get(code, _NO_BARS), batch.files.get(code, _NO_BARS)
    path = path_of(scope, series, code)

    def differ(key: str, name: str, left: Any, right: Any, problem: Problem) -> Difference:
        sides = Side(LEDGER, left), Side(str(path), right)
        return Difference(Kind.KLINES, problem, key, name, *sides, unit_of(series, code))

    key = unit_of(series, code)
    if not one.rows or not other.rows:
        left, right = (
            told("%(count)d bars", count=side.rows) if side.rows else None for side in (one, other)
        )
        yield differ(key, "", left, right, Problem.MISSING)
        return
    if is_whole:
        for name, here, there in zip(_SUMS, _plain(one), _plain(other), strict=True):
            if here != there:
                yield differ(key, name, str(here), str(there), Problem.DIFFERS)
        return
    with translating():
        ledger = bars.read_bars(series, [code], scope.since, scope.until)
    both = _without(ledger.drop(columns="code"), one.newer).merge(
        _without(read_file(scope, series, code), one.newer),
        on="datetime",
        how="outer",
        suffixes=("", "_file"),
        indicator=True,
    )
    yield from _compare_bars(both, key, differ)


def _compare_bars(both: pd.DataFrame, key: str, differ: Any) -> Iterator[Difference]:
    same = np.logical_and.reduce(
        [(both[name] == both[f"{name}_file"]).to_numpy() for name in _VALUES]
    )
    for bar in both[~same].to_dict("records"):
        day = str(int(bar["datetime"]))
        name = f"{key} {day[:4]}-{day[4:6]}-{day[6:]}"
        if bar["_merge"] != "both":
            left, right = _brief(bar, ""), _brief(bar, "_file")
            is_left = bar["_merge"] == "left_only"
            yield differ(
                name, "", left if is_left else None, None if is_left else right, Problem.MISSING
            )
            continue
        for field in _VALUES:
            if bar[field] != bar[f"{field}_file"]:
                yield differ(name, field, bar[field], bar[f"{field}_file"], Problem.DIFFERS)


def _brief(bar: Mapping[str, Any], suffix: str) -> str:
    return ", ".join(f"{name} {bar[name + suffix]:g}" for name in _VALUES)


def _settled_factors(exam: Examination, versions: Mapping[str, int]) -> Iterator[Difference]:
    found = list(_compare_factors(exam.scope, versions))
    if found:
        time.sleep(exam.scope.patience.entries)
        versions = read_mirrored(exam.scope).get(FACTORS, {})
        codes = {one.key.split()[1] for one in found}
        again = {code: version for code, version in versions.items() if code in codes}
        yield from _compare_factors(exam.scope, again)


def _compare_factors(scope: Scope, versions: Mapping[str, int]) -> Iterator[Difference]:
    """Compare the factors of codes that have not changed since they were mirrored."""
    with translating():
        current = bars.read_factor_fingerprints()
        codes = [
            code
            for code, version in versions.items()
            if current.get(code, (0, 0, version))[2] == version
        ]
        frame = bars.read_factors(codes)
    ledger = {
        str(code): dict(zip(part["ex_date"], part["factor"], strict=True))
        for code, part in frame.groupby("code")
    }
    for code in codes:
        path = path_of(scope, FACTORS, code)
        key = unit_of(FACTORS, code)
        try:
            stored = read_factors(path)
        except Corrupt as exc:
            yield damaged(Kind.KLINES, exc, key)
            continue
        own = ledger.get(code, {})
        for day in sorted(own.keys() | stored.keys()):
            left, right = own.get(day), stored.get(day)
            if left is None or right is None or abs(left - right) > 5e-10:
                problem = Problem.MISSING if None in (left, right) else Problem.DIFFERS
                sides = Side(FACTOR_LEDGER, left), Side(str(path), right)
                yield Difference(Kind.KLINES, problem, f"{key} {day}", "factor", *sides, key)


def read_factors(path: Path) -> dict[int, float]:
    if not path.exists():
        return {}
    try:
        frame = pd.read_csv(path, usecols=["ex_date", "factor"])
        return dict(zip(frame["ex_date"].astype(int), frame["factor"].astype(float), strict=True))
    except ValueError as exc:
        raise Corrupt(path, str(exc)) from exc
