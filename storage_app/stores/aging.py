"""The scheduled held-day increment of every book that is not a demo."""

from __future__ import annotations

import logging

from storage_app.contract.errors import StorageError, Unavailable
from storage_app.contract.roles import PositionStore
from storage_app.models import Account, AccountStatus

logger = logging.getLogger(__name__)


def age_books(positions: PositionStore) -> list[str]:
    """Increment the books of active, non-demo accounts; return those aged now.

    Doing it again on the same trading day changes nothing. A book that fails does not keep the
    others from it; Unavailable is raised at the end, naming the books that are left.
    """
    active = Account.objects.filter(status=AccountStatus.ACTIVE, is_demo=False)
    numbers = set(active.values_list("account_id", flat=True))
    aged, failed = [], []
    for book in positions.list_books():
        if book.partition("/")[0] not in numbers:
            continue
        try:
            if positions.all_held_inc(book):
                aged.append(book)
        except StorageError:
            logger.exception("the held-day increment of %s failed", book)
            failed.append(book)
    if failed:
        raise Unavailable("positions", f"not aged: {', '.join(failed)}")
    return aged
