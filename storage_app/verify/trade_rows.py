"""The lines of the ledger's CSV files, read one by one and without touching the files.

`TradeFile` holds a year in memory and cuts off what a dead writer left; a comparison does
neither. A last line without an end is one that nobody has acknowledged yet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from storage_app.contract.errors import Corrupt
from storage_app.contract.types import Trade
from storage_app.stores.file import trade_lines
from storage_app.stores.file.documents import refusing
from storage_app.stores.file.trade_lines import HEADER, Row
from trades_app.checksums import DaySum, text_hash

YEARS: Final = "[12][0-9][0-9][0-9].csv"


def account_paths(data_dir: Path, account_id: str) -> list[Path]:
    """Return the files of an account, oldest year first."""
    return sorted((data_dir / "trades" / account_id).glob(YEARS))


def list_accounts(data_dir: Path) -> list[str]:
    return sorted({path.parent.name for path in (data_dir / "trades").glob(f"*/{YEARS}")})


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield number and fields of each whole line; Corrupt names the first that is none."""
    number = 1
    with refusing(path), path.open("rb") as stream:
        header = stream.readline()
        if header and header != HEADER:
            raise Corrupt(path, "the first line is not the header of a trade file")
        rows = csv.reader(line.decode() for line in stream if line.endswith(b"\n"))
        try:
            for row in rows:
                number = rows.line_num + 1
                if len(row) != trade_lines.WIDTH:
                    fields = f"{len(row)} fields instead of {trade_lines.WIDTH}"
                    raise Corrupt(path, f"line {number}: {fields}")
                yield number, row
        except (UnicodeDecodeError, csv.Error) as exc:
            raise Corrupt(path, f"line {number + 1}: {exc}") from exc


def read_trades(path: Path) -> Iterator[tuple[int, Trade]]:
    number = 1
    try:
        for number, row in read_rows(path):
            yield number, trade_lines.to_trade(path.parent.name, row)
    except (ValueError, ArithmeticError) as exc:
        raise Corrupt(path, f"line {number}: {exc}") from exc


def parse_line(path: Path, line: bytes) -> Trade:
    """Return the trade on a line; Corrupt if it holds none."""
    try:
        (row,) = csv.reader([line.decode()])
        if len(row) != trade_lines.WIDTH:
            raise ValueError(f"{len(row)} fields")  # noqa: TRY301
        return trade_lines.to_trade(path.parent.name, row)
    except (ValueError, ArithmeticError, csv.Error) as exc:
        raise Corrupt(path, f"{line!r}: {exc}") from exc


def add_to(sums: dict[str, DaySum], path: Path) -> None:
    """Add the lines of a file to the sums of their trading dates."""
    last = 1
    try:
        for number, row in read_rows(path):
            last = number
            _, at, _, ticks, volume = trade_lines.numbers_of(row)
            day = row[trade_lines.DATE]
            text = text_hash(_text_of(row, at, ticks, volume))
            sums[day] = sums.get(day, DaySum()).plus(volume, ticks * volume, text)
    except ValueError as exc:
        raise Corrupt(path, f"line {last}: {exc}") from exc


def _text_of(row: Row, at: int, ticks: int, volume: int) -> list[str]:
    """Return what is hashed of a line, in the order of `trades_app.queries.checksums`."""
    return [
        row[trade_lines.UID],
        row[trade_lines.DATE],
        str(at),
        row[trade_lines.CODE],
        trade_lines.unescape(row[trade_lines.NAME]),
        row[trade_lines.ORDER_TYPE],
        row[trade_lines.PRICE_TYPE],
        str(ticks),
        str(volume),
        trade_lines.unescape(row[trade_lines.STRATEGY]),
        trade_lines.unescape(row[trade_lines.REMARK]),
        trade_lines.unescape(row[trade_lines.ORDER_ID]),
        trade_lines.unescape(row[trade_lines.TRADE_ID]),
    ]
