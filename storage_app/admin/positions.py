"""Open positions of every book that a user may see, with their prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from storage_app.admin import facts, figures
from storage_app.admin.health import Outage, outage_of
from storage_app.admin.sources import platform_store, reading_clickhouse, signed_in
from storage_app.contract.errors import Unavailable
from storage_app.contract.types import MAX_BATCH_CODES, BookState, PositionFlag, PositionState
from storage_app.models import Account, User
from storage_app.services.access import visible_accounts

EVERYTHING = slice(None)
PAGE_ROWS = 100
MOST_PAGES = 10_000

# What is written beside a position, and what to do about it.
FLAGS: Mapping[PositionFlag, tuple[Promise, Promise]] = {
    PositionFlag.UNCONFIRMED: (
        _("unconfirmed"),
        _(
            "Held days or volume are in doubt: something was sold of an unknown volume, or two "
            "hosts changed them during an outage. Compare with the broker; a fill that tells what "
            "remains, or replacing the positions with the broker's, confirms it."
        ),
    ),
    PositionFlag.OVERSOLD: (
        _("oversold"),
        _(
            "More was sold than was held, so a buy is missing here. Compare with the broker and "
            "replace the positions with the broker's."
        ),
    ),
    PositionFlag.LEFTOVER: (
        _("leftover"),
        _(
            "A highest or lowest price stands here without a holding. If the broker holds the "
            "code, open the position; otherwise delete it."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Close:
    """The last two closes of a code and the date of the last."""

    on: date
    price: float
    previous: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a share has cost on average; an estimate where it rests on an assumed fill."""

    price: Decimal
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class PositionRow:
    account: Account
    namespace: str
    state: PositionState
    name: str = ""
    close: Close | None = None
    # None where the ledger does not know.
    cost: Cost | None = None

    @property
    def price(self) -> float | None:
        return self.close.price if self.close else None

    @property
    def change(self) -> float | None:
        if self.close is None or not self.close.previous:
            return None
        return self.close.price / self.close.previous - 1

    @property
    def from_high(self) -> float | None:
        return self._distance(self.state.max_price)

    @property
    def from_low(self) -> float | None:
        return self._distance(self.state.min_price)

    @property
    def value(self) -> float | None:
        if self.close is None or self.state.volume is None:
            return None
        return self.close.price * self.state.volume

    @property
    def gain(self) -> float | None:
        """Return the share of the cost that was gained since."""
        if self.close is None or self.cost is None:
            return None
        return figures.ratio(self.close.price - float(self.cost.price), self.cost.price)

    @property
    def profit(self) -> float | None:
        if self.close is None or self.cost is None or self.state.volume is None:
            return None
        return (self.close.price - float(self.cost.price)) * self.state.volume

    @property
    def flag(self) -> tuple[Promise, Promise] | None:
        """A word, and what to do; None when nobody has to do anything."""
        return FLAGS.get(self.state.flag)

    def _distance(self, extreme: float | None) -> float | None:
        if self.close is None or extreme is None:
            return None
        return figures.ratio(self.close.price - extreme, extreme)


@dataclass(frozen=True, slots=True)
class Positions:
    """What stands in the books, or which store did not answer."""

    rows: Sequence[PositionRow] = ()
    # How many there are; `rows` may be a part of them.
    count: int = 0
    aged_on: Mapping[str, date | None] = field(default_factory=dict)
    missing: Sequence[str] = ()
    # Since when the files of this host stand in for Redis; None while it answers.
    outage: Outage | None = None

    @property
    def flags(self) -> Sequence[tuple[Promise, Promise]]:
        """The flags that some row carries, each once."""
        return [FLAGS[flag] for flag in FLAGS if any(row.state.flag is flag for row in self.rows)]

    @property
    def last_close(self) -> date | None:
        return max((row.close.on for row in self.rows if row.close), default=None)


def read_positions(
    user: User, accounts: Iterable[Account] | None = None, part: slice = EVERYTHING
) -> Positions:
    """Read the books of `accounts` (all that the user may see by default); price a part of them."""
    by_number = {
        account.account_id: account
        for account in (visible_accounts(user) if accounts is None else accounts)
    }
    try:
        books = _read_books(by_number)
    except Unavailable as exc:
        return Positions(missing=(exc.backend,))
    rows = [
        PositionRow(by_number[number], namespace, state)
        for (number, namespace), book in books.items()
        for state in book.positions.values()
        if state.held_days is not None or state.flag
    ]
    aged_on = {"/".join(filter(None, key)): book.increment_date for key, book in books.items()}
    priced, missing = _priced(user, rows[part], rows)
    return Positions(priced, len(rows), aged_on, missing, outage_of("redis"))


def _read_books(accounts: Mapping[str, Account]) -> dict[tuple[str, str], BookState]:
    store = platform_store()
    books = {}
    for book in sorted(store.list_books()):
        number, _slash, namespace = book.partition("/")
        if number in accounts:
            books[number, namespace] = store.read_book(book)
    return books


def _priced(
    user: User, rows: Sequence[PositionRow], held: Sequence[PositionRow]
) -> tuple[Sequence[PositionRow], Sequence[str]]:
    """Return rows with prices and costs, and the stores that did not answer."""
    codes = sorted({row.state.code for row in rows})
    if not codes:
        return rows, ()
    try:
        with reading_clickhouse():
            closes = last_closes(codes)
            names = facts.names_of(user, codes)
            may_see_trades = user.has_perm("trades_app.view_trade")
            costs = _costs(codes, held) if may_see_trades else {}
    except Unavailable as exc:
        return rows, (exc.backend,)
    priced = [
        replace(
            row,
            name=names.get(row.state.code, ""),
            close=closes.get(row.state.code),
            cost=costs.get((row.account.account_id, row.state.code)),
        )
        for row in rows
    ]
    return priced, ()


def _costs(codes: Sequence[str], held: Sequence[PositionRow]) -> Mapping[tuple[str, str], Cost]:
    """Return the cost of a share by account and code; books of one account share their fills.

    Where the books do not know how much is held, what the ledger has bought and not sold counts.
    """
    # They bring pandas, which worker and beat, who load the admin too, would carry for nothing.
    from trades_app import ledger
    from trades_app.queries.trades import read_account_fills

    wanted = set(codes)
    volumes: dict[tuple[str, str], int] = {}
    for row in held:
        if row.state.code in wanted:
            key = (row.account.account_id, row.state.code)
            volumes[key] = volumes.get(key, 0) + (row.state.volume or 0)
    found = read_account_fills({account for account, _code in volumes}, codes=codes)
    keys = list(zip(found.accounts, found.fills.codes, strict=True))
    still_open = ledger.open_shares(found.fills)
    by_group = {
        group: volumes[key] or still_open.get(group, 0)
        for group, key in enumerate(keys)
        if key in volumes
    }
    costs = ledger.cost_of_newest(found.fills, by_group)
    guessed = set(found.fills.group[found.fills.is_assumed].tolist())
    return {keys[group]: Cost(cost, group in guessed) for group, cost in costs.items()}


def last_closes(codes: Sequence[str]) -> dict[str, Close]:
    closes = {}
    for start in range(0, len(codes), MAX_BATCH_CODES):
        batch = codes[start : start + MAX_BATCH_CODES]
        for code, frame in platform_store().batch_get_kline(batch, days=2).items():
            if not frame.empty:
                closes[code] = _close(frame["datetime"].tolist(), frame["close"].tolist())
    return closes


def _close(days: Sequence[int], prices: Sequence[float]) -> Close:
    on = date.fromisoformat(str(days[-1]))
    return Close(on, prices[-1], prices[-2] if len(prices) > 1 else None)


def positions_page(request: HttpRequest, context: Mapping[str, object]) -> HttpResponse:
    if not request.user.has_perm("storage_app.view_account"):
        raise PermissionDenied
    user = signed_in(request)
    chosen = request.GET.get("account", "")
    accounts = list(visible_accounts(user))
    shown = [account for account in accounts if chosen in ("", str(account.pk))]
    page = _page_number(request)
    part = slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS)
    positions = read_positions(user, shown, part)
    return TemplateResponse(
        request,
        "storage_app/positions.html",
        {
            **context,
            "title": _("Positions"),
            "positions": positions,
            "accounts": accounts,
            "chosen": chosen,
            "page": page,
            "has_next": positions.count > page * PAGE_ROWS,
        },
    )


def _page_number(request: HttpRequest) -> int:
    asked = request.GET.get("page", "")
    return min(max(int(asked), 1), MOST_PAGES) if asked.isdecimal() else 1
