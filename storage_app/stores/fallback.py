"""What the mirrored roles share: a server behind its breaker, and files that stand in for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from storage_app.contract.errors import Unavailable
from storage_app.stores.breaker import breaker_for
from storage_app.stores.outbox import Outbox

_T = TypeVar("_T")


class Part(Protocol):
    """What a mirrored role needs of a backend besides its methods."""

    @property
    def component(self) -> str: ...

    def ping(self) -> None: ...

    def close(self) -> None: ...


PrimaryT = TypeVar("PrimaryT", bound=Part)
MirrorT = TypeVar("MirrorT", bound=Part)


@dataclass(frozen=True, slots=True)
class Switches:
    """`dual_write`: keep the mirror; `auto_fallback`: let it answer while the server is down;
    `claims`: take the lease of books that nobody holds."""

    dual_write: bool = True
    auto_fallback: bool = True
    claims: bool = True

    @property
    def may_fall_back(self) -> bool:
        # A mirror that is not kept would serve old values.
        return self.dual_write and self.auto_fallback

    @property
    def may_claim(self) -> bool:
        # A lease is for a host that can go on without the server.
        return self.claims and self.may_fall_back


class Mirrored(Generic[PrimaryT, MirrorT]):
    """One role on a server and on files."""

    def __init__(
        self, primary: PrimaryT, mirror: MirrorT, outbox: Outbox, switches: Switches
    ) -> None:
        self.primary = primary
        self.mirror = mirror
        self.outbox = outbox
        self.switches = switches
        self.breaker = breaker_for(primary.component, primary.ping)
        outbox.send_through(self.breaker)

    @property
    def component(self) -> str:
        return self.primary.component

    def ping(self) -> None:
        self.primary.ping()

    def close(self) -> None:
        self.primary.close()
        self.mirror.close()

    def read(self, from_primary: Callable[[], _T], from_mirror: Callable[[], _T]) -> _T:
        """Ask the server, and the files if it is down and they may answer."""
        try:
            return self.breaker.call(from_primary)
        except Unavailable:
            if not self.switches.may_fall_back:
                raise
        return from_mirror()
