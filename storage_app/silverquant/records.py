"""Where reports and audit entries of a reconcile go: the database, or files in file mode."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from storage_app.contract.errors import Unavailable
from storage_app.contract.roles import DataStore
from storage_app.contract.rules import trader_name
from storage_app.stores.file.documents import (
    atomic_write_bytes,
    dump_document,
    locked,
    make_directory,
    refusing,
)
from trades_app.market import clock

if TYPE_CHECKING:
    from storage_app.services.actors import Actor

logger = logging.getLogger(__name__)

# A value of ReportKind.
KIND: Final = "reconcile"
CORRECTIONS: Final = "corrections.jsonl"


def store_report(
    store: DataStore,
    actor: Actor | None,
    at: datetime,
    summary: Mapping[str, Any],
    findings: list[dict[str, Any]],
) -> str:
    """Keep a report and return its name; a file while the database is down."""
    if _has_database(store):
        try:
            return _insert(actor, at, summary, findings)
        except Unavailable as exc:
            logger.warning("The report is kept in a file: %s", exc)
    name = f"{KIND}-{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    path = _directory() / f"{name}.json"
    with locked(path):
        document = {
            "kind": KIND, "at": at.isoformat(), "actor": _name(actor),
            "summary": dict(summary), "findings": findings,
        }  # fmt: skip
        atomic_write_bytes(path, dump_document(document))
    return name


@contextmanager
def auditing(
    store: DataStore, actor: Actor | None, account: str, reason: str, values: tuple[Any, Any]
) -> Iterator[None]:
    """Write the audit entry of the block; if either fails, neither counts.

    The entry comes first: a correction without one must not be.
    """
    if _has_database(store):
        with _audit_row(actor, account, reason, values):
            yield
        return
    _append(actor, account, reason, values)
    yield


def _insert(
    actor: Actor | None, at: datetime, summary: Mapping[str, Any], findings: list[dict[str, Any]]
) -> str:
    from storage_app.models import Report
    from storage_app.stores.orm import translating

    with translating():
        report = Report.objects.create(
            kind=KIND,
            started_at=at,
            finished_at=clock.now(),
            is_clean=not findings,
            actor=_name(actor),
            summary=dict(summary),
            findings=findings,
        )
    return str(report.pk)


@contextmanager
def _audit_row(
    actor: Actor | None, account: str, reason: str, values: tuple[Any, Any]
) -> Iterator[None]:
    from django.db import transaction

    from storage_app.models import AuditAction
    from storage_app.services import access, accounts, audit
    from storage_app.services.actors import trader
    from storage_app.stores.orm import translating

    who = actor or trader()
    access.require(who.user, "storage_app.execute_trade")
    access.require_account(who.user, account)
    with translating(), transaction.atomic():
        row = accounts.get(account)
        before, after = values
        audit.record(who, AuditAction.REPAIR, row, before=before, after=after, reason=reason)
        yield


def _append(actor: Actor | None, account: str, reason: str, values: tuple[Any, Any]) -> None:
    path = _directory() / CORRECTIONS
    line = {
        "at": clock.now().isoformat(), "actor": _name(actor), "account_id": account,
        "reason": reason, "before": values[0], "after": values[1],
    }  # fmt: skip
    with locked(path), refusing(path), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _directory() -> Path:
    directory = Path(settings.DATA_DIR) / "reports"
    make_directory(directory)
    return directory


def _has_database(store: DataStore) -> bool:
    return getattr(store, "mode", "") != "file"


def _name(actor: Actor | None) -> str:
    return actor.name if actor else trader_name()
