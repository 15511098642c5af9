"""Compare what the broker, the platform and the ledger say is held; correct it on request.

Nothing is corrected by itself but one thing: `sync_positions`, before the market opens, opens
what the broker holds and no book of the account has. A correction needs a reason and leaves an
audit entry; what the ledger lacks is for a person to record.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from storage_app.contract.arguments import parse_account, parse_book, parse_code, parse_remaining
from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.contract.roles import DataStore
from storage_app.contract.rules import parse_reason
from storage_app.contract.types import OrderType, PositionFlag, PositionState, Side
from storage_app.silverquant import records, registry
from trades_app.market import clock, codes

if TYPE_CHECKING:
    from storage_app.services.actors import Actor

logger = logging.getLogger(__name__)


class Proposal(StrEnum):
    """What would make the platform agree with the broker."""

    NONE = ""
    OPEN = "open"
    CLOSE = "close"
    SET_VOLUME = "set_volume"
    DECIDE = "decide"  # several books hold the code: whose shares differ, nobody here knows


@dataclass(frozen=True, slots=True)
class Line:
    """Shares of one code. `platform` is None when a book holds an unknown volume.

    `ledger` is bought less sold over all recorded fills; `book` is where the proposal would act.
    """

    code: str
    broker: int
    platform: int | None
    ledger: int
    book: str
    held_days: int | None = None
    flag: str = ""
    proposal: Proposal = Proposal.NONE

    @property
    def is_equal(self) -> bool:
        return self.broker == self.platform == self.ledger and not self.flag


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A stored three-way report; `lines` holds every code that anybody knows."""

    ident: str
    account: str
    at: datetime
    lines: tuple[Line, ...]

    @property
    def differences(self) -> list[Line]:
        return [line for line in self.lines if not line.is_equal]

    @property
    def proposals(self) -> list[Line]:
        return [line for line in self.lines if line.proposal is not Proposal.NONE]

    @property
    def is_clean(self) -> bool:
        return not self.differences


def reconcile(
    account: str,
    broker_positions: Mapping[str, int] | Iterable[Any],
    *,
    namespace: str = "",
    store: DataStore | None = None,
    actor: Actor | None = None,
) -> Reconciliation:
    """Compare per code, store the report, return it; nothing is changed.

    `broker_positions` is `{code: shares}` or the broker's own objects (stock_code or symbol, and
    volume). What nobody holds yet would be opened in the book of `namespace`.
    """
    opened = store or registry.store()
    number = parse_account(account)
    home = parse_book(f"{number}/{namespace}" if namespace else number)
    lines = tuple(_compare(opened, number, home, shares_of(broker_positions)))
    at = clock.now()
    found = [as_finding(number, line) for line in lines if not line.is_equal]
    summary = {"account_id": number, "codes": len(lines), "differences": len(found)}
    ident = records.store_report(opened, actor, at, summary, found)
    return Reconciliation(ident, number, at, lines)


def apply_corrections(
    report: Reconciliation,
    reason: str,
    *,
    only: Sequence[str] | None = None,
    store: DataStore | None = None,
    actor: Actor | None = None,
) -> list[Line]:
    """Do what a report proposes, for all codes or those of `only`; return what was done.

    InvalidInput without a reason; Conflict if a position has changed since the report. Each
    correction is done together with its audit entry.
    """
    opened = store or registry.store()
    reason = parse_reason(reason)
    wanted = None if only is None else {parse_code(code) for code in only}
    done = []
    for line in report.proposals:
        if line.proposal is Proposal.DECIDE or (wanted is not None and line.code not in wanted):
            continue
        before = opened.get_positions(line.book).get(line.code)
        _refuse_stale(line, before)
        with records.auditing(opened, actor, report.account, reason, _audit_values(line, before)):
            _correct(opened, report.ident, line)
        done.append(line)
    return done


def sync_positions(
    account: str,
    broker_positions: Mapping[str, int] | Iterable[Any],
    *,
    namespace: str = "",
    store: DataStore | None = None,
) -> list[str]:
    """Open what the broker holds and no book of the account has; return the codes.

    For the time before the market opens: such a position was bought on an earlier day, so the
    increment that follows makes it one day old. Nothing is closed and no volume is changed.
    """
    opened = store or registry.store()
    home = parse_book(f"{account}/{namespace}" if namespace else account)
    held = {code for _, code, _ in _holdings(opened, parse_account(account))}
    shares = shares_of(broker_positions)
    new = opened.open_positions(home, sorted(shares.keys() - held))
    for code in new:
        _set_volume(opened, home, code, shares[code], f"sync {clock.today()} {code}")
    if new:
        logger.info("Opened in %s, as the broker holds them: %s", home, ", ".join(new))
    return new


def shares_of(positions: Mapping[str, int] | Iterable[Any]) -> dict[str, int]:
    """Return `{code: shares}` above 0 of what can be a position: no repo, no standard bond."""
    pairs: Iterable[tuple[str, Any]]
    if isinstance(positions, Mapping):
        pairs = positions.items()
    else:
        pairs = [(_code_of(one), getattr(one, "volume", None)) for one in positions]
    shares = Counter[str]()
    for spelling, volume in pairs:
        code = parse_code(spelling)
        if codes.holdable(code):
            shares[code] += parse_remaining(volume)
    return {code: volume for code, volume in shares.items() if volume}


def as_finding(account: str, line: Line) -> dict[str, Any]:
    """Return what the report keeps; who may see the account may see it."""
    return {"account_id": account, **asdict(line), "proposal": line.proposal.value}


def _code_of(position: Any) -> str:
    code = getattr(position, "stock_code", None) or getattr(position, "symbol", None)
    if not isinstance(code, str):
        raise InvalidInput(f"{position!r} has neither stock_code nor symbol")
    return code


def _compare(
    store: DataStore, account: str, home: str, broker: Mapping[str, int]
) -> Iterable[Line]:
    holdings: dict[str, list[tuple[str, PositionState]]] = {}
    for book, code, state in _holdings(store, account):
        holdings.setdefault(code, []).append((book, state))
    ledger = _ledger_shares(store, account)
    for code in sorted(broker.keys() | holdings.keys() | {c for c, n in ledger.items() if n}):
        yield _line(code, broker.get(code, 0), ledger[code], holdings.get(code, []), home)


def _holdings(store: DataStore, account: str) -> Iterable[tuple[str, str, PositionState]]:
    for book in store.list_books():
        if book.partition("/")[0] == account:
            for code, state in store.get_positions(book).items():
                if state.held_days is not None or state.flag is PositionFlag.UNCONFIRMED:
                    yield book, code, state


def _ledger_shares(store: DataStore, account: str) -> Counter[str]:
    shares = Counter[str]()
    for row in store.iter_trades(account):
        if OrderType(row["order_type"]).is_fill:
            is_buy = row["order_type"] == OrderType.BUY_TRADE
            shares[row["code"]] += row["volume"] if is_buy else -row["volume"]
    return shares


def _line(
    code: str, broker: int, ledger: int, held: list[tuple[str, PositionState]], home: str
) -> Line:
    volumes = [state.volume for _, state in held]
    known = [volume for volume in volumes if volume is not None]
    platform = sum(known) if len(known) == len(volumes) else None
    if not held:
        proposal = Proposal.OPEN if broker else Proposal.NONE
        return Line(code, broker, 0, ledger, home, proposal=proposal)
    book, state = held[0]
    flag = next((one.flag.value for _, one in held if one.flag), "")
    proposal = _proposal(broker, platform, len(held), flag)
    return Line(code, broker, platform, ledger, book, state.held_days, flag, proposal)


def _proposal(broker: int, platform: int | None, books: int, flag: str) -> Proposal:
    if broker == platform and not flag:
        return Proposal.NONE
    if not broker and books == 1:
        return Proposal.CLOSE
    return Proposal.SET_VOLUME if books == 1 else Proposal.DECIDE


def _refuse_stale(line: Line, before: PositionState | None) -> None:
    was = None if line.proposal is Proposal.OPEN else line.platform
    now = None if before is None or before.held_days is None else before.volume
    if was != now:
        raise Conflict(f"{line.code} holds {now} now, not {was} as reported; reconcile again")


def _correct(store: DataStore, ident: str, line: Line) -> None:
    if line.proposal is Proposal.CLOSE:
        store.delete_held_days(line.code, line.book)
        return
    if line.proposal is Proposal.OPEN:
        store.open_positions(line.book, [line.code])
    _set_volume(store, line.book, line.code, line.broker, f"reconcile {ident} {line.code}")


def _set_volume(store: DataStore, book: str, code: str, volume: int, ident: str) -> None:
    """Settle the volume by the broker's word; age and extremes stay."""
    store.apply_fill(
        book, code, Side.BUY, volume, 1, trade_id=ident, timestamp=clock.now(), remaining=volume
    )


def _audit_values(line: Line, before: PositionState | None) -> tuple[Any, Any]:
    known = None if before is None else {"volume": before.volume, "held_days": before.held_days}
    after = {"book": line.book, "done": line.proposal.value, "volume": line.broker}
    return {line.code: known}, {line.code: after}
