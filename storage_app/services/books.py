"""What a person decides about a book of positions, in the audit trail of its account."""

from __future__ import annotations

from django.db import transaction

from storage_app.models import Account, AuditAction
from storage_app.services import audit
from storage_app.services.actors import Actor


def record_claim(actor: Actor, book: str, before: str, after: str, reason: str) -> None:
    _record(actor, book, {f"lease {book}": before}, {f"lease {book}": after}, reason)


def record_decision(
    actor: Actor, book: str, code: str, before: str, after: str, kept: str, reason: str
) -> None:
    """Note which side of a code that had stopped counts."""
    key = f"{code} {book}"
    _record(actor, book, {key: before, "kept": ""}, {key: after, "kept": kept}, reason)


def _record(
    actor: Actor, book: str, before: dict[str, str], after: dict[str, str], reason: str
) -> None:
    number = book.partition("/")[0]
    with transaction.atomic():
        account = Account.objects.filter(account_id=number).first() or Account(account_id=number)
        audit.record(actor, AuditAction.REPAIR, account, before=before, after=after, reason=reason)
