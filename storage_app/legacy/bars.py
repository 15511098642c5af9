"""Daily bars: one CSV file per code, read as columns."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from storage_app.contract.types import BAR_COLUMNS, Adjust
from storage_app.legacy import fields
from storage_app.legacy.text import (
    LegacyFileError,
    Rejected,
    Row,
    RowError,
    parse_table,
    read_text,
    split_lines,
)
from trades_app.market import calendar, clock, codes

PRICES = ["open", "high", "low", "close"]
TICKS = 1000
CENTS = 100
LOT = 100
# The average price of a day lies between low and high; the slack is for rounded prices.
_SLACK = 0.01
UNIT_ROWS = 20
_MAX_PRICE = 1e6
_MAX_AMOUNT = 1e13

Mask = npt.NDArray[np.bool_]
Lines = npt.NDArray[np.int64]
# 1 or LOT, for all rows or for each.
Unit = int | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BarFile:
    """Good bars of one code in shares and yuan; `lines` has the line of each in the file.

    Prices are the floats nearest to whole multiples of 0.001, amounts to 0.01. `repeated` rows
    are equal to an earlier row.
    """

    code: str
    frame: pd.DataFrame
    lines: Lines
    read: int
    repeated: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Parsed:
    """Numbers of all rows that are numbers, with the line of each."""

    frame: pd.DataFrame
    lines: Lines
    rejected: list[Rejected] = field(default_factory=list)
    note: str = ""


class Verdict:
    """The first reason, if any, why each row stays out."""

    def __init__(self, rows: int) -> None:
        self._number = np.zeros(rows, dtype=np.int16)
        self._reasons: list[tuple[str, str]] = [("", "")]

    @property
    def passed(self) -> Mask:
        return np.asarray(self._number == 0, dtype=np.bool_)

    def refuse(self, where: Mask, column: str, reason: str) -> None:
        if where.any():
            self._number[where & self.passed] = len(self._reasons)
            self._reasons.append((column, reason))

    def of(self, row: int) -> tuple[str, str]:
        """Return the column and the reason."""
        return self._reasons[int(self._number[row])]


def read_bars(path: Path, adjust: Adjust = Adjust.NONE) -> BarFile:
    """Read the bars of one file; rows that break a rule are rejected with their line.

    Whether `volume` is lots or shares is told by amount / volume, which must lie between low
    and high: sources changed the unit without notice. LegacyFileError for a file whose unit
    cannot be told, whose name is no code or which has no bar columns. Volume 0 (停牌) is legal,
    and so are prices at or below 0 when the series is adjusted.
    """
    code = code_of(path)
    text = read_text(path)
    parsed = _parse_columns(text)
    if parsed is None:
        parsed = _parse_rows(path, text)
    unit = _volume_unit(path, parsed, adjust)
    frame = in_units(parsed.frame, unit)
    verdict = judge(frame, adjust, unit)
    repeated = _judge_repeats(frame, verdict)
    good = verdict.passed & ~repeated
    rejected = [*parsed.rejected, *_rejected(parsed.lines, verdict, split_lines(text))]
    bars, lines = _in_order(frame[good], parsed.lines[good])
    closed = closed_dates(bars["datetime"].to_numpy())
    on_closed = bars["datetime"][bars["datetime"].isin(closed)]
    notes = (parsed.note, note_unit(unit), note_closed(len(on_closed), on_closed.min()))
    return BarFile(
        code=code,
        frame=bars,
        lines=lines,
        read=len(parsed.frame) + len(parsed.rejected),
        repeated=int(repeated.sum()),
        rejected=sorted(rejected, key=lambda row: row.line),
        note="; ".join(note for note in notes if note),
    )


def code_of(path: Path) -> str:
    """Return the code that a file is named after."""
    try:
        return codes.parse_code(path.stem)
    except codes.InvalidCode as exc:
        raise LegacyFileError(path, 0, "", "", str(exc)) from exc


def _parse_columns(text: str) -> _Parsed | None:
    """Return the columns of a file without any oddity, else None; ten times the speed."""
    if not text.endswith("\n"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text),
                usecols=list(BAR_COLUMNS),
                dtype=dict.fromkeys(BAR_COLUMNS, "float64"),
                index_col=False,
            )[list(BAR_COLUMNS)]
    except (ValueError, pd.errors.ParserWarning):
        return None
    # A frame of as many rows as there are lines has row n on line n + 2.
    if len(frame) != len(split_lines(text)) - 1 or not np.isfinite(frame.to_numpy()).all():
        return None
    return _Parsed(frame, np.arange(len(frame)) + 2)


def _parse_rows(path: Path, text: str) -> _Parsed:
    table = parse_table(path, text, BAR_COLUMNS)
    rejected = list(table.rejected)
    rows: list[list[float]] = []
    lines: list[int] = []
    for row in table.rows:
        try:
            rows.append(_parse_row(row))
            lines.append(row.line)
        except RowError as exc:
            rejected.append(row.reject(exc.column, str(exc)))
    frame = pd.DataFrame(
        np.array(rows, dtype=np.float64).reshape(-1, len(BAR_COLUMNS)), columns=list(BAR_COLUMNS)
    )
    return _Parsed(frame, np.array(lines, dtype=np.int64), rejected, table.note)


def _parse_row(row: Row) -> list[float]:
    day = row.parse("datetime", fields.parse_day)
    prices = [float(row.parse(column, fields.parse_number)) for column in PRICES]
    sizes = [float(row.parse(column, _parse_size)) for column in ("volume", "amount")]
    return [float(f"{day:%Y%m%d}"), *prices, *sizes]


def _parse_size(text: str) -> Decimal:
    # Some sources leave volume and amount empty on a day without trading.
    return fields.parse_number(text) if text else Decimal(0)


def _volume_unit(path: Path, parsed: _Parsed, adjust: Adjust) -> int:
    """Return 1 for shares or 100 for lots, by the rows whose prices are (nearly) raw."""
    frame = parsed.frame
    traded = frame[(frame["volume"] > 0) & (frame["low"] > 0)].sort_values("datetime")
    rows = traded.head(UNIT_ROWS) if adjust is Adjust.HFQ else traded.tail(UNIT_ROWS)
    if rows.empty:
        return 1
    votes = {unit: int(fits(rows, unit).sum()) for unit in (1, LOT)}
    unit = max(votes, key=lambda unit: votes[unit])
    if votes[unit] * 2 > len(rows):
        return unit
    last = rows.index[-1]
    reason = "amount / volume fits neither shares nor lots of 100 between low and high"
    value = f"{frame.loc[last, 'volume']:.0f}"
    raise LegacyFileError(path, int(parsed.lines[last]), "volume", value, reason)


def fits(frame: pd.DataFrame, unit: Unit) -> Mask:
    """Tell the rows whose average price lies between low and high, volume being in `unit`."""
    volume = frame["volume"].to_numpy() * unit
    amount = frame["amount"].to_numpy()
    # Lots are cut to whole numbers, which matters on days of little trade.
    rounding = np.where(np.equal(unit, LOT), LOT, 0)
    highest = frame["high"].to_numpy() * (volume + rounding) * (1 + _SLACK)
    lowest = frame["low"].to_numpy() * (volume - rounding) * (1 - _SLACK)
    return np.asarray((lowest <= amount) & (amount <= highest), dtype=np.bool_)


def in_units(frame: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """Return the frame in whole ticks, shares and cents; what is no whole share stays broken."""
    prices = {column: np.rint(frame[column].to_numpy() * TICKS) / TICKS for column in PRICES}
    shares = frame["volume"].to_numpy() * unit
    whole = np.rint(shares)
    return frame.assign(
        **prices,
        volume=np.where(np.abs(shares - whole) < _SLACK, whole, shares),
        amount=np.rint(frame["amount"].to_numpy() * CENTS) / CENTS,
    )


def judge(frame: pd.DataFrame, adjust: Adjust, unit: Unit) -> Verdict:
    """Tell which rows break a rule, each row by itself; `unit` is what volume was in."""
    verdict = Verdict(len(frame))
    _judge_dates(frame, verdict)
    _judge_prices(frame, adjust, verdict)
    _judge_sizes(frame, verdict)
    if adjust is Adjust.NONE:
        shares = frame.assign(volume=frame["volume"] / unit)
        strange = (frame["volume"] > 0).to_numpy() & ~fits(shares, unit)
        reason = "amount / volume is not between low and high: adjusted prices or a wrong unit"
        verdict.refuse(strange, "amount", reason)
    return verdict


def _judge_dates(frame: pd.DataFrame, verdict: Verdict) -> None:
    places, numbers = pd.factorize(frame["datetime"])
    is_date = np.array([_is_date(float(number)) for number in numbers], dtype=np.bool_)
    verdict.refuse(~is_date[places], "datetime", "not a date like 20250922")
    verdict.refuse(
        frame["datetime"].to_numpy() > _as_number(clock.today()), "datetime", "after today"
    )


@lru_cache(maxsize=16384)
def _is_date(number: float) -> bool:
    """Tell whether a number is YYYYMMDD of a day since the exchange opened."""
    if not 19901219 <= number <= 99991231 or number % 1:
        return False
    whole = int(number)
    try:
        date(whole // 10000, whole // 100 % 100, whole % 100)
    except ValueError:
        return False
    return True


def _as_number(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day


def _judge_prices(frame: pd.DataFrame, adjust: Adjust, verdict: Verdict) -> None:
    for column in PRICES:
        prices = frame[column].to_numpy()
        if adjust is Adjust.NONE:
            verdict.refuse(prices <= 0, column, "a price as traded must be above 0")
        verdict.refuse(np.abs(prices) >= _MAX_PRICE, column, "a price must be below 1,000,000")
    top = frame[["open", "low", "close"]].to_numpy().max(axis=1)
    bottom = frame[["open", "high", "close"]].to_numpy().min(axis=1)
    verdict.refuse(frame["high"].to_numpy() < top, "high", "below open, low or close")
    verdict.refuse(frame["low"].to_numpy() > bottom, "low", "above open, high or close")


def _judge_sizes(frame: pd.DataFrame, verdict: Verdict) -> None:
    volume, amount = frame["volume"].to_numpy(), frame["amount"].to_numpy()
    broken = (volume < 0) | (volume >= _MAX_AMOUNT) | (volume % 1 != 0)
    verdict.refuse(broken, "volume", "not a whole number of shares from 0")
    verdict.refuse((amount < 0) | (amount >= _MAX_AMOUNT), "amount", "negative or too large")
    verdict.refuse((volume > 0) & (amount == 0), "amount", "no amount although there is volume")
    verdict.refuse((volume == 0) & (amount > 0), "volume", "no volume although there is amount")


def _judge_repeats(frame: pd.DataFrame, verdict: Verdict) -> Mask:
    """Tell the rows equal to an earlier one; refuse those that contradict it."""
    passed = frame[verdict.passed]
    again = passed["datetime"].duplicated().to_numpy()
    equal = passed.duplicated().to_numpy()
    repeated = np.zeros(len(frame), dtype=np.bool_)
    repeated[passed.index[equal]] = True
    contradicting = np.zeros(len(frame), dtype=np.bool_)
    contradicting[passed.index[again & ~equal]] = True
    verdict.refuse(contradicting, "datetime", "an earlier row of this date has other values")
    return repeated


def _in_order(frame: pd.DataFrame, lines: Lines) -> tuple[pd.DataFrame, Lines]:
    order = np.argsort(frame["datetime"].to_numpy(), kind="stable")
    return frame.iloc[order].reset_index(drop=True).astype({"datetime": np.int64}), lines[order]


def note_unit(unit: int) -> str:
    return _("volume was in lots") if unit == LOT else ""


def closed_dates(numbers: npt.NDArray[np.int64]) -> list[int]:
    """Return those of the dates (YYYYMMDD) on which the exchange did not trade, as far as known."""
    found = pd.unique(pd.Series(numbers)).tolist()
    known = [number for number in found if number <= _as_number(calendar.known_until())]
    if not known:
        return []
    first, last = (clock.parse_date(number) for number in (min(known), max(known)))
    opened = {_as_number(day) for day in calendar.trading_days(first, last)}
    return sorted(set(known) - opened)


def note_closed(count: int, first: int) -> str:
    """Name bars on days without trading; they come in, since they are what the source says."""
    if not count:
        return ""
    return ngettext(
        "%(count)d bar on a day without trading, the first on %(day)s",
        "%(count)d bars on days without trading, the first on %(day)s",
        count,
    ) % {"count": count, "day": first}


def _rejected(lines: Lines, verdict: Verdict, text: list[str]) -> list[Rejected]:
    header = text[0].split(",")
    found = []
    for row in np.flatnonzero(~verdict.passed):
        line = int(lines[row])
        column, reason = verdict.of(int(row))
        raw = text[line - 1]
        value = dict(zip(header, raw.split(","), strict=False)).get(column, "")
        found.append(Rejected(line, column, value, reason, raw))
    return found
