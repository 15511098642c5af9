"""Objects with locks and threads begin anew in a forked child.

A lock that another thread of the parent held would be held in the child for ever, and no thread
but the forking one lives on there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    def after_fork(self) -> None:
        """Make new locks and forget threads; runs in the child, where no other thread is."""
        ...


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_after_fork(one: Forkable) -> None:
    """Have `one.after_fork()` called in each child, as long as the object lives."""
    _known.add(one)


def _begin_anew() -> None:
    for one in list(_known):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
