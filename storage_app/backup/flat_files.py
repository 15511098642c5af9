"""An export for other programs: a table per file, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pandas as pd
from django.forms.models import model_to_dict
from django.utils.translation import gettext as _

from storage_app.backup import scope as scopes
from storage_app.backup.scope import Scope
from storage_app.contract.types import PositionState, Trade
from storage_app.contract.watching import Watch
from storage_app.models import AccountStrategy, ParamVersion
from storage_app.stores.file.documents import make_directory, refusing
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from trades_app.bar_frames import BAR_COLUMNS
from trades_app.market import clock

FORMATS: Final = ("json", "csv")
Row = Mapping[str, Any]
Write = Callable[[Row], None]


def write(root: Path, scope: Scope, form: str, watch: Watch) -> dict[str, int]:
    """Write each table; return the rows of each."""
    counts = {}
    for name, (columns, read) in TABLES.items():
        with _writing(root / f"{name}.{_ENDINGS[form]}", columns, form) as put:
            rows = 0
            for part in read(scope):
                for row in part:
                    put(row)
                    rows += 1
                watch.step(_("rows of %(table)s") % {"table": name}, rows)
        counts[name] = rows
    return counts


_ENDINGS: Final = {"json": "jsonl", "csv": "csv"}


@contextmanager
def _writing(path: Path, columns: tuple[str, ...], form: str) -> Iterator[Write]:
    make_directory(path.parent)
    # The mark in front tells Excel that it is UTF-8.
    encoding = "utf-8-sig" if form == "csv" else "utf-8"
    with refusing(path), path.open("w", encoding=encoding, newline="") as stream:
        if form == "json":
            yield lambda row: _write_line(stream, columns, row)
            return
        table = csv.DictWriter(stream, columns, lineterminator="\r\n")
        table.writeheader()
        yield lambda row: table.writerow({name: _text(row.get(name)) for name in columns})


def _write_line(stream: Any, columns: tuple[str, ...], row: Row) -> None:
    plain = {name: _plain(row.get(name)) for name in columns}
    stream.write(json.dumps(plain, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.in_shanghai(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _text(value: Any) -> Any:
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, dict | list) else plain


def _accounts(scope: Scope) -> Iterator[Iterable[Row]]:
    document = OrmAccounts().dump()["accounts"]
    yield [entry for number, entry in document.items() if scope.has(number)]


def _capital(scope: Scope) -> Iterator[Iterable[Row]]:
    for account in scopes.accounts(scope):
        yield [
            {**model_to_dict(one), "account_id": account.account_id}
            for one in scopes.snapshots(scope, account.account_id)
        ]


def _bindings(scope: Scope) -> Iterator[Iterable[Row]]:
    found = AccountStrategy.objects.select_related("account", "strategy")
    yield [
        {
            **model_to_dict(one),
            "account_id": one.account.account_id,
            "strategy_name": one.strategy.strategy_name,
        }
        for one in found
        if scope.has(one.account.account_id)
    ]


def _strategies(scope: Scope) -> Iterator[Iterable[Row]]:
    yield OrmStrategies().dump()["strategies"].values()


def _parameters(scope: Scope) -> Iterator[Iterable[Row]]:
    for name in OrmStrategies().dump()["strategies"]:
        found = ParamVersion.objects.filter(strategy__strategy_name=name).order_by("version")
        yield [
            {
                "strategy_name": name,
                "version": one.version,
                "params": one.params,
                "remark": one.remark,
                "created_by": one.actor,
                "created_at": one.created_at,
            }
            for one in found
        ]


def _positions(scope: Scope) -> Iterator[Iterable[Row]]:
    for book, copy in scopes.books(scope):
        done = copy.state.increment_date
        yield [
            {**asdict(one), "book": book, "flag": one.flag.value, "increment_date": done}
            for one in copy.state.positions.values()
        ]


def _trades(scope: Scope) -> Iterator[Iterable[Row]]:
    for account_id in scopes.account_ids(scope):
        for month in scopes.trades(scope, account_id):
            yield map(_trade, month)


def _trade(trade: Trade) -> Row:
    kinds = {"order_type": trade.order_type.value, "price_type": trade.price_type.value}
    return {**asdict(trade), **kinds, "amount": trade.amount}


def _klines(scope: Scope) -> Iterator[Iterable[Row]]:
    for adjust in scopes.series():
        for _codes, frame in scopes.bar_frames(scope, adjust, scopes.bar_days(adjust)):
            yield _records(frame.assign(adjust=adjust))


def _factors(scope: Scope) -> Iterator[Iterable[Row]]:
    yield _records(scopes.factors())


def _records(frame: pd.DataFrame) -> Iterator[Row]:
    columns = [str(name) for name in frame.columns]
    values = zip(*(frame[name].tolist() for name in columns), strict=True)
    return (dict(zip(columns, row, strict=True)) for row in values)


TABLES: Final[dict[str, tuple[tuple[str, ...], Callable[[Scope], Iterator[Iterable[Row]]]]]] = {
    "accounts": (
        (
            "account_id", "account_name", "broker", "environment", "status", "initial_capital",
            "current_capital", "total_assets", "position_value", "capital_at", "created_at",
        ),
        _accounts,
    ),
    "capital": (
        ("account_id", "trade_date", "total_assets", "current_capital", "position_value", "source"),
        _capital,
    ),
    "strategies": (
        (
            "strategy_name", "strategy_code", "strategy_type", "version", "status",
            "description", "active_version", "created_at",
        ),
        _strategies,
    ),
    "parameters": (
        ("strategy_name", "version", "params", "remark", "created_by", "created_at"),
        _parameters,
    ),
    "bindings": (
        ("account_id", "strategy_name", "allocated_capital", "risk_limit", "status"),
        _bindings,
    ),
    "positions": (
        ("book", *(one.name for one in fields(PositionState)), "increment_date"),
        _positions,
    ),
    "trades": ((*(one.name for one in fields(Trade)), "amount"), _trades),
    "klines": (("adjust", "code", *BAR_COLUMNS), _klines),
    "factors": (("code", "ex_date", "factor"), _factors),
}  # fmt: skip
