"""Strategies and accounts of an export come in through the services, each with its audit entry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from storage_app.backup.scope import Scope
from storage_app.backup.tally import Tally
from storage_app.contract.errors import StorageError
from storage_app.models import AccountSnapshot, AccountStrategy, Strategy
from storage_app.services import accounts, bindings, capital, strategies
from storage_app.services.actors import Actor
from storage_app.stores.file.documents import Document, read_document
from storage_app.stores.file.strategies import FileStrategies
from trades_app.market import clock

REASON: Final = "import of an export"
_SOURCE: Final = "export"


def import_strategies(root: Path, actor: Actor, *, dry_run: bool) -> Tally:
    """Count parameter versions, and a strategy without any as one."""
    tally = Tally("strategies")
    files = FileStrategies(root)
    index = read_document(root / "strategies" / "strategies.json").get("strategies", {})
    for name, entry in sorted(index.items()):
        stored = Strategy.objects.filter(strategy_name=name).first()
        if stored is None and not dry_run:
            stored = strategies.create(
                actor, name, entry["strategy_code"], entry["strategy_type"], entry["version"],
                entry["description"], REASON,
            )  # fmt: skip
            tally.new += 1
        else:
            tally.note(is_same=stored is not None)
        for saved in entry["versions"]:
            params = files.get_strategy_params(name, saved["version"])
            _import_version(tally, actor, name, saved, params, dry_run=dry_run)
        if not dry_run and not tally.complaints:
            _settle_strategy(actor, name, entry)
    return tally


def _import_version(
    tally: Tally, actor: Actor, name: str, saved: Document, params: Any, *, dry_run: bool
) -> None:
    number = saved["version"]
    versions = Strategy.objects.filter(strategy_name=name)
    stored = dict(versions.values_list("versions__version", "versions__params"))
    if number in stored:
        if stored[number] == params:
            tally.same += 1
        else:
            tally.reject(f"strategy {name} v{number} stands with other parameters")
        return
    if not dry_run:
        strategies.save_params(actor, name, params, saved["remark"])
    tally.new += 1


def _settle_strategy(actor: Actor, name: str, entry: Document) -> None:
    stored = strategies.get(name)
    active = stored.active_version.version if stored.active_version else None
    if entry["active_version"] is not None and active != entry["active_version"]:
        strategies.activate(actor, name, entry["active_version"], REASON)
    if stored.status != entry["status"]:
        strategies.set_status(actor, name, entry["status"], REASON)


def import_accounts(root: Path, scope: Scope, actor: Actor, *, dry_run: bool) -> Iterator[Tally]:
    document = read_document(root / "accounts.json")
    found = {
        number: entry
        for number, entry in sorted(document.get("accounts", {}).items())
        if scope.has(number)
    }
    own, days, shares = Tally("accounts"), Tally("capital"), Tally("bindings")
    for number, entry in found.items():
        _import_account(own, actor, number, entry, dry_run=dry_run)
        _import_capital(days, root, scope, actor, number, dry_run=dry_run)
    for binding in document.get("bindings", []):
        if binding["account_id"] in found:
            _import_binding(shares, actor, binding, dry_run=dry_run)
    if not dry_run:
        for number, entry in found.items():
            if accounts.get(number).status != entry["status"]:
                accounts.set_status(actor, number, entry["status"], REASON)
    yield own
    yield days
    yield shares


def _import_account(
    tally: Tally, actor: Actor, number: str, entry: Document, *, dry_run: bool
) -> None:
    stored = accounts.find(number)
    if stored is None:
        tally.new += 1
        if not dry_run:
            accounts.create(
                actor, number, entry["account_name"], entry["broker"],
                Decimal(entry["initial_capital"]), entry["environment"], reason=REASON,
            )  # fmt: skip
        return
    names = ("account_name", "broker", "environment", "initial_capital")
    for name in names:
        ours = str(getattr(stored, name))
        if ours != entry[name]:
            tally.reject(f"account {number}: {name} is {ours}, the export has {entry[name]}")
            return
    tally.same += 1


def _import_capital(
    tally: Tally, root: Path, scope: Scope, actor: Actor, number: str, *, dry_run: bool
) -> None:
    lacking = _lacking_days(tally, root, scope, number)
    if dry_run:
        return
    by_source: dict[str, list[capital.DayCapital]] = {}
    for day, entry in lacking.items():
        if _is_of_trader(entry):
            _record(actor, number, entry)
        else:
            source = entry.get("source", _SOURCE)
            name = _SOURCE if source == capital.TRADER else source
            by_source.setdefault(name, []).append(_day_capital(day, entry))
    for source, rows in by_source.items():
        capital.import_snapshots(actor, number, rows, source)


def _lacking_days(tally: Tally, root: Path, scope: Scope, number: str) -> dict[date, Document]:
    """Count the days of an account; return those that do not stand yet."""
    stored = dict(
        AccountSnapshot.objects.filter(account__account_id=number).values_list(
            "trade_date", "total_assets"
        )
    )
    lacking: dict[date, Document] = {}
    for text, entry in sorted(read_document(root / "assets" / f"{number}.json").items()):
        day, assets = date.fromisoformat(text), Decimal(entry["total_assets"])
        if not scope.has_day(day):
            continue
        if day not in stored:
            tally.new += 1
            lacking[day] = entry
        elif stored[day] == assets:
            tally.same += 1
        else:
            tally.reject(f"capital of {number} on {day}: {stored[day]} stands, not {assets}")
    return lacking


def _is_of_trader(entry: Document) -> bool:
    """Tell whether a trading program recorded the day, which it only does with all figures."""
    is_whole = entry["current_capital"] is not None and entry["position_value"] is not None
    return is_whole and entry.get("source", capital.TRADER) == capital.TRADER


def _record(actor: Actor, number: str, entry: Document) -> None:
    at = clock.in_shanghai(datetime.fromisoformat(entry["recorded_at"]))
    figures = (entry["current_capital"], entry["total_assets"], entry["position_value"])
    capital.update_capital(actor, number, *figures, at)


def _day_capital(day: date, entry: Document) -> capital.DayCapital:
    return capital.DayCapital(
        day, entry["total_assets"], entry["current_capital"], entry["position_value"]
    )


def _import_binding(tally: Tally, actor: Actor, entry: Document, *, dry_run: bool) -> None:
    number, name = entry["account_id"], entry["strategy_name"]
    stored = AccountStrategy.objects.filter(
        account__account_id=number, strategy__strategy_name=name
    ).first()
    if stored is not None:
        if str(stored.allocated_capital) == entry["allocated_capital"]:
            tally.same += 1
        else:
            tally.reject(f"binding {number} / {name}: {stored.allocated_capital} stands there")
        return
    if dry_run:
        tally.new += 1
        return
    try:
        bindings.bind(actor, number, name, entry["allocated_capital"], entry["risk_limit"], REASON)
    except StorageError as exc:
        tally.reject(f"binding {number} / {name}: {exc}")
        return
    if entry["status"] != "active":
        bindings.set_status(actor, number, name, entry["status"], REASON)
    tally.new += 1
