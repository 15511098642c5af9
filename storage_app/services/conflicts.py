"""What a person decides about a trade that contradicts the ledger.

Whoever may execute trades may decide for the accounts in reach: administrators and the account's
traders. A decision changes the ledger, never a position: what an account holds is the broker's
word, not that of a row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import models, transaction
from django.utils import timezone

from storage_app.contract import rules, trade_documents
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.identity import trade_uid
from storage_app.contract.types import Trade
from storage_app.models import AuditAction, ConflictResolution, TradeConflict
from storage_app.services import access, audit
from storage_app.services.access import Visitor
from storage_app.services.actors import Actor

logger = logging.getLogger(__name__)

# What a row says of where it came from, once a person has put it into the ledger.
CORRECTION = "correction"


class Ledger(Protocol):
    """What a decision needs of the ledger; both raise Unavailable while it does not answer."""

    def find_trade(self, trade: Trade) -> Trade | None:
        """Return the row that stands for the identity of a trade."""
        ...

    def correct_trade(self, trade: Trade) -> None:
        """Put a trade in the place of what stands for its uid; doing it twice changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class _Rows:
    """The refused row and the ledger's, None when the ledger has none (any more)."""

    offered: Trade
    standing: Trade | None

    @property
    def differ(self) -> bool:
        return self.standing is not None and bool(
            trade_documents.differing_fields(self.offered, self.standing)
        )


def visible_conflicts(user: Visitor) -> models.QuerySet[TradeConflict]:
    return access.restrict_accounts(TradeConflict.objects.all(), user)


def count_open(user: Visitor) -> int:
    """Return how many conflicts that a user may see wait for a decision."""
    return visible_conflicts(user).filter(resolved_at=None).count()


def resolve(
    actor: Actor, conflict_id: int, resolution: str, reason: str, ledger: Ledger
) -> TradeConflict:
    """Decide a conflict once: `kept`, `taken` or `both` (see ConflictResolution).

    The same decision of the same person again is no error; any other one after the first raises
    Conflict. The ledger is written last, so that nothing is decided while it does not answer.
    """
    access.require(actor.user, "storage_app.change_tradeconflict")
    wanted = _parse_resolution(resolution)
    reason = rules.parse_reason(reason)
    if actor.is_automatic:
        raise InvalidInput("a person has to decide a trade conflict")
    with transaction.atomic():
        conflict = _lock(conflict_id)
        access.require_account(actor.user, conflict.account_id)
        if conflict.is_resolved:
            return _check_repeated(conflict, wanted, actor)
        offered = trade_documents.from_document(conflict.offered)
        rows = _Rows(offered, ledger.find_trade(offered))
        correction = _CORRECTIONS[wanted](conflict, rows)
        _decide(actor, conflict, wanted, reason, rows)
        if correction is not None:
            ledger.correct_trade(correction)
    logger.info("Trade %s: %s by %s: %s", conflict.trade_uid, wanted, actor.name, reason)
    return conflict


def twin_uid(conflict: TradeConflict) -> str:
    """Return the uid that the refused row has when both rows are recorded."""
    offered = trade_documents.from_document(conflict.offered)
    number = offered.trade_id if offered.order_type.is_fill else offered.order_id
    return trade_uid(
        offered.account_id,
        offered.trade_date,
        offered.code,
        offered.order_type,
        f"{number}|{conflict.offered_digest}",
    )


def _keep(conflict: TradeConflict, rows: _Rows) -> None:
    if rows.standing is None:
        raise NotFound("the ledger has no row of this trade any more; take the refused one")


def _take(conflict: TradeConflict, rows: _Rows) -> Trade | None:
    if rows.standing is not None and not rows.differ:
        return None
    return replace(rows.offered, source=CORRECTION)


def _record_both(conflict: TradeConflict, rows: _Rows) -> Trade:
    if not rows.differ:
        raise InvalidInput("there are no two different rows to record")
    return replace(rows.offered, trade_uid=twin_uid(conflict), source=CORRECTION)


# What each decision writes into the ledger.
_CORRECTIONS: Mapping[ConflictResolution, Callable[[TradeConflict, _Rows], Trade | None]] = {
    ConflictResolution.KEPT: _keep,
    ConflictResolution.TAKEN: _take,
    ConflictResolution.BOTH: _record_both,
}


def _parse_resolution(value: str) -> ConflictResolution:
    try:
        return ConflictResolution(value)
    except ValueError as exc:
        known = ", ".join(ConflictResolution.values)
        raise InvalidInput(f"resolution {value!r} must be one of {known}") from exc


def _lock(conflict_id: int) -> TradeConflict:
    """Return a conflict with all rows of its trade locked until the transaction ends."""
    uid = TradeConflict.objects.filter(pk=conflict_id).values_list("trade_uid", flat=True).first()
    # Two refused rows of one trade are decided one after the other, too.
    locked = TradeConflict.objects.select_for_update().filter(trade_uid=uid).order_by("pk")
    for conflict in locked:
        if conflict.pk == conflict_id:
            return conflict
    raise NotFound(f"there is no trade conflict {conflict_id}")


def _check_repeated(
    conflict: TradeConflict, wanted: ConflictResolution, actor: Actor
) -> TradeConflict:
    if (conflict.resolution, conflict.resolved_by) != (wanted, actor.name):
        raise Conflict(
            f"{conflict.resolved_by} has decided this conflict already: {conflict.resolution}"
        )
    return conflict


def _decide(
    actor: Actor, conflict: TradeConflict, wanted: ConflictResolution, reason: str, rows: _Rows
) -> None:
    standing = None if rows.standing is None else trade_documents.to_document(rows.standing)
    conflict.standing = standing
    conflict.resolution = wanted
    conflict.resolved_at = timezone.now()
    conflict.resolved_by = actor.name
    conflict.why = reason
    conflict.save()
    before: dict[str, Any] = {"resolution": ""}
    after: dict[str, Any] = {"resolution": str(wanted)}
    if wanted is ConflictResolution.TAKEN:
        before |= standing or {}
        after |= conflict.offered | {"source": CORRECTION}
    elif wanted is ConflictResolution.BOTH:
        after |= {"trade_uid": twin_uid(conflict)}
    audit.record(actor, AuditAction.REPAIR, conflict, before=before, after=after, reason=reason)
