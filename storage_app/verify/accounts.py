"""Accounts and bindings: the relational database against its snapshot in the files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.db.models import Max

from storage_app.contract.errors import Corrupt
from storage_app.models import Account, AccountStrategy
from storage_app.stores.file.documents import Document, read_document
from storage_app.stores.orm import OrmAccounts, translating
from storage_app.verify import pending
from storage_app.verify.differences import Difference, Kind, damaged
from storage_app.verify.documents import (
    compare_fields,
    differ_in,
    has_snapshot,
    seconds_to_settle,
    snapshot_directory,
    standing,
)
from storage_app.verify.scope import Examination, Scope

CAPITAL_FIELDS: Final = frozenset(
    {"current_capital", "total_assets", "position_value", "capital_at"}
)


def compare(exam: Examination) -> Iterator[Difference]:
    if not has_snapshot(exam):
        return
    exam.step(Kind.ACCOUNTS, 0, 1)
    found = _compare(exam)
    if found and (wait := _wait(exam.scope)):
        time.sleep(wait)
        found = standing(found, _compare(exam))
    exam.step(Kind.ACCOUNTS, 1, 1)
    yield from found


def _wait(scope: Scope) -> float:
    with translating():
        changed = (
            Account.objects.aggregate(at=Max("updated_at"))["at"],
            AccountStrategy.objects.aggregate(at=Max("created_at"))["at"],
        )
    return seconds_to_settle(scope.patience.snapshots, changed)


def _compare(exam: Examination) -> list[Difference]:
    path = snapshot_directory(exam.scope) / "accounts.json"
    # The snapshot first: what is committed in between is newer than it, never the other way.
    try:
        snapshot = read_document(path)
    except Corrupt as exc:
        return [damaged(Kind.ACCOUNTS, exc, Kind.ACCOUNTS)]
    database = OrmAccounts().dump()
    exam.counts["accounts"] = len(database["accounts"])
    exam.counts["bindings"] = len(database["bindings"])
    try:
        return list(_differences(exam.scope, str(path), database, snapshot))
    except (AttributeError, KeyError, TypeError) as exc:
        error = Corrupt(path, f"{type(exc).__name__} {exc}")
        return [damaged(Kind.ACCOUNTS, error, Kind.ACCOUNTS)]


def _differences(
    scope: Scope, path: str, database: Document, snapshot: Document
) -> Iterator[Difference]:
    owed = pending.capital_accounts(scope.journal)
    left, right = database["accounts"], snapshot.get("accounts", {})
    for number in sorted(left.keys() | right.keys()):
        if not scope.has_account(number):
            continue
        differ = differ_in(Kind.ACCOUNTS, "database", path, number)
        for difference in compare_fields(differ, number, left.get(number), right.get(number)):
            if number not in owed or difference.field not in CAPITAL_FIELDS:
                yield difference
    left, right = _bindings(database), _bindings(snapshot)
    for key in sorted(left.keys() | right.keys()):
        account = key.partition(" / ")[0]
        if scope.has_account(account):
            differ = differ_in(Kind.ACCOUNTS, "database", path, account)
            yield from compare_fields(differ, key, left.get(key), right.get(key))


def _bindings(document: Mapping[str, Any]) -> dict[str, Document]:
    return {
        f"{one['account_id']} / {one['strategy_name']}": one for one in document.get("bindings", [])
    }
