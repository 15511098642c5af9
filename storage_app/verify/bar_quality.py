"""The quality of the bars in ClickHouse, checked in batches of codes into a stored report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from django.utils import timezone

from storage_app.contract.arguments import parse_code
from storage_app.contract.errors import InvalidInput
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.models import Report, ReportKind
from storage_app.services import access
from storage_app.services.actors import Actor
from storage_app.stores.clickhouse import translating as reading
from storage_app.stores.orm import translating
from storage_app.verify.comparing import KEPT_FINDINGS, REPAIR
from trades_app.bar_checks import Check, Severity
from trades_app.bar_faults import RAW, Fault, Market, find_faults, market_faults
from trades_app.market import calendar
from trades_app.queries import bars, oddities

BATCH_BARS: Final = 200_000
BATCH_CODES: Final = 500
# Bars before the first day that is judged, for the change of its price.
_CONTEXT: Final = timedelta(days=40)


@dataclass(frozen=True, slots=True)
class BarScope:
    """Which bars; none named means all. Dates are trading dates, inclusive."""

    codes: Sequence[str] = ()
    series: Sequence[str] = ()
    since: date | None = None
    until: date | None = None
    batch_bars: int = BATCH_BARS

    def as_json(self) -> dict[str, Any]:
        return {
            "codes": list(self.codes),
            "series": list(self.series),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }


@dataclass(slots=True)
class _Checked:
    kept: list[dict[str, Any]] = field(default_factory=list)
    by_severity: Counter[str] = field(default_factory=Counter)
    by_check: Counter[str] = field(default_factory=Counter)
    codes: int = 0
    bars: int = 0
    is_complete: bool = False

    def add(self, fault: Fault, series: str) -> None:
        self.by_severity[fault.severity.value] += 1
        self.by_check[fault.check.value] += 1
        self.kept.append(fault.as_finding(series))
        if len(self.kept) >= 2 * KEPT_FINDINGS:
            self.keep_worst()

    def keep_worst(self) -> None:
        order = [*Severity]
        self.kept.sort(key=lambda one: (order.index(Severity(one["severity"])), one["code"]))
        del self.kept[KEPT_FINDINGS:]

    @property
    def is_clean(self) -> bool:
        return self.is_complete and not (self.by_severity.keys() - {Severity.INFO.value})


def run(actor: Actor, scope: BarScope | None = None, watch: Watch = UNWATCHED) -> Report:
    """Check bars and return the stored report; clean if there is neither error nor warning.

    Unavailable while ClickHouse is down. Cancelled passes on, and the report keeps what was found.
    """
    access.require(actor.user, REPAIR)
    scope = _checked(scope or BarScope())
    with translating():
        report = Report.objects.create(
            kind=ReportKind.KLINES, started_at=timezone.now(), actor=actor.name
        )
    checked = _Checked()
    try:
        with reading():
            for series, known in _wanted(scope).items():
                for fault in _check_series(scope, series, known, checked, watch):
                    checked.add(fault, series)
        checked.is_complete = True
    finally:
        _store(report, scope, checked)
    return report


def _checked(scope: BarScope) -> BarScope:
    codes = tuple(dict.fromkeys(parse_code(code) for code in scope.codes))
    return BarScope(codes, scope.series, scope.since, scope.until, scope.batch_bars)


def _wanted(scope: BarScope) -> dict[str, dict[str, int]]:
    """Return how many bars there are of each code that is asked for, by series."""
    found = bars.read_fingerprints()
    wanted = {
        series: {code: days for code, (days, _, _) in codes.items() if code in scope.codes}
        if scope.codes
        else {code: days for code, (days, _, _) in codes.items()}
        for series, codes in sorted(found.items())
        if not scope.series or series in scope.series
    }
    missing = [code for code in scope.codes if not any(code in codes for codes in wanted.values())]
    if missing:
        raise InvalidInput(f"there are no bars of {', '.join(missing)}")
    return wanted


def _check_series(
    scope: BarScope, series: str, known: Mapping[str, int], checked: _Checked, watch: Watch
) -> Iterator[Fault]:
    counts = oddities.count_codes(series, _context(scope), scope.until)
    if not counts:
        return
    market = _market(scope, counts)
    if not scope.codes:
        yield from market_faults(counts, market)
        yield from _twins(series)
    for codes in _batches(known, scope.batch_bars):
        watch.step(series, checked.codes, None, "codes")
        frame = bars.read_bars(series, codes, _context(scope), scope.until)
        factors = bars.read_factors(codes) if series == RAW else None
        yield from find_faults(frame, series, market, factors)
        yield from _sources(series, codes)
        checked.codes += len(codes)
        checked.bars += len(frame)
    watch.step(series, checked.codes, checked.codes, "codes")


def _context(scope: BarScope) -> date | None:
    return None if scope.since is None else scope.since - _CONTEXT


def _market(scope: BarScope, counts: Sequence[tuple[int, int]]) -> Market:
    first, last = (_day(number) for number in (counts[0][0], counts[-1][0]))
    days = [int(f"{day:%Y%m%d}") for day in calendar.trading_days(first, last)]
    return Market(
        np.array(days, dtype=np.int64),
        np.array([day for day, _ in counts], dtype=np.int64),
        int(f"{scope.since:%Y%m%d}") if scope.since else 0,
    )


def _twins(series: str) -> Iterator[Fault]:
    for count, first, last, codes in oddities.find_twins(series):
        yield Fault(Check.TWIN, Severity.WARNING, codes[0], first, last, count, ", ".join(codes))


def _sources(series: str, codes: Sequence[str]) -> Iterator[Fault]:
    for code, count, first, last, sources in oddities.find_source_conflicts(series, codes):
        detail = ", ".join(source or "–" for source in sources)
        yield Fault(Check.SOURCES, Severity.WARNING, code, first, last, count, detail)


def _batches(known: Mapping[str, int], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    rows = 0
    for code, days in sorted(known.items()):
        if batch and (rows + days > most or len(batch) == BATCH_CODES):
            yield batch
            batch, rows = [], 0
        batch.append(code)
        rows += days
    if batch:
        yield batch


def _store(report: Report, scope: BarScope, checked: _Checked) -> None:
    checked.keep_worst()
    report.is_clean = checked.is_clean
    report.findings = checked.kept
    total = sum(checked.by_severity.values())
    report.summary = {
        "scope": scope.as_json(),
        "codes": checked.codes,
        "bars": checked.bars,
        "severities": dict(checked.by_severity),
        "checks": dict(checked.by_check),
        "not_kept": total - len(checked.kept),
    }
    report.finished_at = timezone.now()
    with translating():
        report.save()


def _day(number: int) -> date:
    return date(number // 10000, number // 100 % 100, number % 100)
