"""Trades, bars and adjust factors as Parquet: a file per table, a batch per row group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from storage_app.backup import manifest
from storage_app.backup.manifest import Part
from storage_app.contract.errors import Corrupt
from storage_app.contract.watching import Watch
from storage_app.stores.clickhouse import translating
from storage_app.stores.file.documents import refusing
from trades_app import copies
from trades_app.copies import Batch, Copied

_TEXT: Final = pa.string()
_MILLI: Final = pa.timestamp("ms", tz="Asia/Shanghai")
_MICRO: Final = pa.timestamp("us", tz="Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Table:
    kind: str
    title: str | Promise
    copied: Copied
    schema: pa.Schema

    @property
    def path(self) -> str:
        return f"{self.kind}.parquet"


TRADES: Final = Table(
    "trades",
    _("trades"),
    copies.TRADES,
    pa.schema(
        {
            **dict.fromkeys(copies.TRADES.columns, _TEXT),
            "trade_date": pa.date32(),
            "traded_at": _MILLI,
            "price": pa.decimal128(12, 3),
            "volume": pa.uint64(),
            "amount": pa.decimal128(20, 3),
            "ingested_at": _MICRO,
        }
    ),
)
# Prices are whole steps of 0.001 yuan and amounts fen, as the table keeps them.
KLINES: Final = Table(
    "klines",
    _("daily bars"),
    copies.KLINES,
    pa.schema(
        {
            **dict.fromkeys(copies.KLINES.columns, pa.int32()),
            **dict.fromkeys(("adjust", "code", "source"), _TEXT),
            "trade_date": pa.date32(),
            "volume": pa.uint64(),
            "amount_fen": pa.int64(),
            "version": pa.uint64(),
        }
    ),
)
FACTORS: Final = Table(
    "factors",
    _("adjust factors"),
    copies.FACTORS,
    pa.schema(
        {
            "code": _TEXT,
            "ex_date": pa.date32(),
            "factor": pa.decimal128(18, 9),
            "source": _TEXT,
            "version": pa.uint64(),
        }
    ),
)
TABLES: Final = (TRADES, KLINES, FACTORS)


def dump(root: Path, batch_rows: int, watch: Watch) -> Iterator[Part]:
    for table in TABLES:
        yield _dump_table(root, table, batch_rows, watch)


def load(root: Path, parts: list[Part], watch: Watch) -> None:
    """Put the rows in place of those that stand."""
    by_kind = {part.kind: part for part in parts}
    for table in TABLES:
        with translating():
            copies.empty(table.copied)
            _load_table(root, table, by_kind[table.kind], watch)


def verify(root: Path, parts: list[Part]) -> None:
    """Compare what stands in ClickHouse with what was written; Corrupt names the table."""
    by_kind = {part.kind: part for part in parts}
    for table in TABLES:
        part = by_kind[table.kind]
        with translating():
            rows, content = copies.summarise(table.copied)
        if (rows, str(content)) != (part.rows, part.content):
            reason = f"{rows} rows stand in {table.copied.table.name}, not these {part.rows}"
            raise Corrupt(root / part.path, reason)


def occupied() -> dict[str, int]:
    with translating():
        return copies.occupied()


def _dump_table(root: Path, table: Table, batch_rows: int, watch: Watch) -> Part:
    path = root / table.path
    rows, content = 0, 0
    with _writing(path, table.schema) as write, translating():
        total = copies.count(table.copied)
        for batch in copies.read_batches(table.copied, batch_rows):
            write(_to_arrow(batch, table.schema))
            rows += len(batch)
            content = (content + batch.content) % (1 << 64)
            watch.step(str(table.title), rows, max(rows, total), str(_("rows")))
    return manifest.describe(root, path, table.kind, rows, str(content))


@contextmanager
def _writing(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    with refusing(path), path.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            yield writer.write_table
        stream.flush()
        os.fsync(stream.fileno())


def _load_table(root: Path, table: Table, part: Part, watch: Watch) -> None:
    done = 0
    for batch in _read(root / part.path, table.schema):
        copies.insert(table.copied, _from_arrow(batch, is_numpy=table.copied.numpy))
        done += batch.num_rows
        watch.step(str(table.title), done, part.rows, str(_("rows")))


def _read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        with refusing(path), pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(schema):
                raise Corrupt(path, f"it has the columns {', '.join(file.schema_arrow.names)}")
            yield from file.iter_batches(batch_size=copies.BATCH_ROWS)
    except pa.ArrowException as exc:
        raise Corrupt(path, str(exc)) from exc


def _to_arrow(batch: Batch, schema: pa.Schema) -> pa.Table:
    arrays = [
        _array(column, field.type) for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(column: Any, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(column, type=pa.int64()).cast(kind)
    if isinstance(column, np.ndarray) and pa.types.is_date32(kind):
        column = column.astype("datetime64[D]")
    return pa.array(column, type=kind)


def _from_arrow(batch: pa.RecordBatch, *, is_numpy: bool) -> list[Any]:
    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type):
            columns.append(column.cast(pa.int64()).to_pylist())
        elif is_numpy:
            columns.append(_numpy(column))
        else:
            columns.append(column.to_pylist())
    return columns


def _numpy(column: pa.Array) -> Any:
    values = column.to_numpy(zero_copy_only=False)
    return values.astype(object) if pa.types.is_string(column.type) else values
