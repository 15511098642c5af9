from __future__ import annotations

from functools import partial

from django.db import transaction
from django.dispatch import Signal

# Sent after the commit of a change, with `book` ("accounts" or "strategies") and `key` (account
# number or strategy name). A receiver that fails is logged and does not undo the change.
book_changed = Signal()


def announce(book: str, key: str) -> None:
    """Send `book_changed` when the transaction at hand is committed, never when it is not."""
    transaction.on_commit(partial(book_changed.send_robust, sender=None, book=book, key=key))
