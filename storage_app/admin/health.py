"""How the stores are: which one is down since when and why, and what is owed to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from storage_app.admin import figures
from storage_app.admin.sources import platform_store
from storage_app.contract.errors import Unavailable
from storage_app.stores import breaker, outages
from trades_app.market import clock

COMPONENTS: Mapping[str, Promise] = {
    "redis": _("Positions"),
    "mysql": _("Accounts and strategies"),
    "sqlite": _("Accounts and strategies"),
    "clickhouse": _("Trades and bars"),
    "files": _("Files"),
}
STATES: Mapping[str, Promise] = {"ok": _("ok"), "degraded": _("degraded"), "down": _("down")}
STATE_TONES = {"ok": "good", "degraded": "warn", "down": "bad"}
OWED: Mapping[str, Promise] = {
    "trades": _("trades"),
    "positions": _("changes of positions"),
    "position conflict": _("positions that stopped"),
    "fills": _("fills"),
    "capital": _("capital figures"),
    "trade conflict": _("trade conflicts"),
}
REASON_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Outage:
    """Since when a server is down, in the words of a page."""

    began: datetime
    reason: str = ""

    @property
    def since(self) -> str:
        """The time of day, with the date unless that is today."""
        began = clock.in_shanghai(self.began)
        return f"{began:%H:%M}" if began.date() == clock.today() else f"{began:%Y-%m-%d %H:%M}"

    @property
    def lasts(self) -> str:
        return figures.duration((clock.now() - self.began).total_seconds())

    @property
    def short_reason(self) -> str:
        text = " ".join(self.reason.split())
        return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 1]}…"


@dataclass(frozen=True, slots=True)
class StoreHealth:
    component: str
    state: str
    outage: Outage | None = None

    @property
    def holds(self) -> Promise | str:
        return COMPONENTS.get(self.component, self.component)

    @property
    def says(self) -> Promise | str:
        return STATES.get(self.state, self.state)

    @property
    def tone(self) -> str:
        return STATE_TONES.get(self.state, "warn")


@dataclass(frozen=True, slots=True)
class OwedWrites:
    kind: Promise | str
    count: int
    oldest: str


@dataclass(frozen=True, slots=True)
class Health:
    """Every store, and the writes of this host that wait for one; `trouble` with its journal."""

    stores: Sequence[StoreHealth]
    owed: Sequence[OwedWrites] = ()
    trouble: str = ""

    @property
    def outages(self) -> Sequence[StoreHealth]:
        return [one for one in self.stores if one.outage]


def read_health() -> Health:
    """Ask all stores at once, within their deadline; the rest is read from files of this host."""
    states = platform_store().health_check()
    noted = outages.current(settings.DATA_DIR)
    stores = [
        StoreHealth(name, state, _outage(noted.get(name)) if state == "down" else None)
        for name, state in states.items()
    ]
    try:
        return Health(stores, _owed())
    except Unavailable as exc:
        return Health(stores, trouble=str(exc))


def outage_of(component: str) -> Outage | None:
    """Return since when this process does without a server; None while it uses it."""
    state = breaker.states().get(component)
    if state is None or state.since is None:
        return None
    # Another process may have noticed before this one did.
    noted = outages.current(settings.DATA_DIR).get(component)
    return _outage(noted) or Outage(state.since, state.reason)


def _outage(noted: outages.Outage | None) -> Outage | None:
    return None if noted is None else Outage(noted.since, noted.reason)


def _owed() -> list[OwedWrites]:
    found = outages.owed(settings.DATA_DIR / "journal")
    return [
        OwedWrites(OWED.get(kind, kind), owed.count, figures.duration(owed.age))
        for kind, owed in sorted(found.items())
        # What left a moment ago is on its way and arrives before anybody has read it.
        if owed.age >= 1
    ]
