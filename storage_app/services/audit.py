"""The audit trail: one entry per change, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from storage_app.contract.rules import parse_text
from storage_app.models import AuditAction, AuditEntry
from storage_app.services.actors import Actor

Values = dict[str, Any]

# Never written down, not even as a hash.
_SECRET_FIELDS = {"password"}
# Columns that change with every save and say nothing.
_SILENT_FIELDS = {"updated_at"}


@dataclass(slots=True)
class Change:
    """The change under way; whoever makes it may still set what the entry will say."""

    action: AuditAction
    reason: str


def values_of(instance: models.Model) -> Values:
    """Return the columns and many-to-many names of a row as JSON; money as text."""
    values: Values = {}
    for field in instance._meta.concrete_fields:
        if field.name not in _SECRET_FIELDS | _SILENT_FIELDS:
            values[field.name] = _plain(getattr(instance, field.name))
    for relation in instance._meta.many_to_many:
        values[relation.name] = sorted(
            key_of(row) for row in getattr(instance, relation.name).all()
        )
    return values


def key_of(instance: models.Model) -> str:
    return str(getattr(instance, "audit_key", instance))


def record(
    actor: Actor,
    action: AuditAction,
    instance: models.Model,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    key: str = "",
    account_id: str = "",
) -> AuditEntry:
    """Write one entry; where both sides are given, only what differs between them is kept.

    `key` and `account_id` name what was changed when it is no row of the database, such as a
    book that the job of a report has repaired.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "an audit entry belongs into the transaction of the change that it describes"
        )
    if before is not None and after is not None:
        before, after = _differing(before, after)
    return AuditEntry.objects.create(
        actor=actor.name,
        action=action,
        entity=instance._meta.model_name or "",
        entity_key=(key or key_of(instance))[:200],
        account_id=account_id or _account_of(instance),
        before=before,
        after=after,
        reason=parse_text(reason, "reason", most=200),
        origin=actor.origin[:100],
    )


@contextmanager
def changing(
    actor: Actor, instance: models.Model, reason: str = "", action: AuditAction = AuditAction.CHANGE
) -> Iterator[Change]:
    """Record what the block does to a row that exists, in a transaction with it.

    What stands in the database is the state before, so a form may have changed the instance
    already. A block that changes nothing leaves no entry.
    """
    change = Change(action, reason)
    with transaction.atomic():
        before = values_of(type(instance)._default_manager.get(pk=instance.pk))
        yield change
        after = values_of(instance)
        if before != after:
            record(actor, change.action, instance, before=before, after=after, reason=change.reason)


def created(
    actor: Actor,
    instance: models.Model,
    reason: str = "",
    action: AuditAction = AuditAction.CREATE,
) -> AuditEntry:
    return record(actor, action, instance, after=values_of(instance), reason=reason)


def deleted(actor: Actor, instance: models.Model, reason: str = "") -> AuditEntry:
    return record(actor, AuditAction.DELETE, instance, before=values_of(instance), reason=reason)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Values, Values]:
    keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return (
        {key: before[key] for key in sorted(keys) if key in before},
        {key: after[key] for key in sorted(keys) if key in after},
    )


def _account_of(instance: models.Model) -> str:
    account = getattr(instance, "account", instance)
    number = getattr(account, "account_id", "")
    return number if isinstance(number, str) else ""


def _plain(value: Any) -> Any:
    match value:
        case models.Model():
            return key_of(value)
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case tzinfo():
            return str(value)
        case _:
            return value
