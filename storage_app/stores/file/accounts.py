"""Accounts in files: one document for all of them, one per account for its capital by day.

    accounts.json           {"accounts": {"55009728": {"id": 1, "account_name": "…",
                                                       "initial_capital": "1000000.00", …}},
                             "bindings": [{"id": 1, "account_id": "55009728", …}]}
    assets/55009728.json    {"2026-03-02": {"total_assets": "1010000.00", …}}

Money is text, so that no cent is lost; a time is ISO 8601 with its offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

from storage_app.contract import rows, rules
from storage_app.contract.errors import Conflict, NotFound
from storage_app.contract.roles import AccountBook
from storage_app.contract.types import AccountStatus, Money
from storage_app.stores.file.documents import (
    Document,
    make_directory,
    read_document,
    updating,
)
from storage_app.stores.file.records import believing, next_id, renumber
from storage_app.stores.file.strategies import FileStrategies
from trades_app.market import clock

_CAPITAL_KEYS = ("total_assets", "current_capital", "position_value")


@dataclass(frozen=True, slots=True)
class Book:
    """The parts of the document; changing them changes it."""

    accounts: dict[str, Document]
    bindings: list[Document]

    def find(self, account_id: str) -> Document:
        if account_id not in self.accounts:
            raise NotFound(rules.describe_unknown_account(account_id))
        return self.accounts[account_id]

    def of_same_letters(self, account_id: str) -> Document | None:
        """Return the account of that number in whatever case, since Windows files have none."""
        wanted = account_id.casefold()
        return next((self.accounts[key] for key in self.accounts if key.casefold() == wanted), None)


class FileAccounts(AccountBook):
    """Accounts below `data_dir`; threads and processes may share the directory."""

    component: ClassVar[str] = "files"

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir
        self._path = data_dir / "accounts.json"
        self._strategies = FileStrategies(data_dir)

    def ping(self) -> None:
        make_directory(self._root)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def create_account(
        self,
        account_id: str,
        account_name: str,
        broker: str,
        initial_capital: Money,
        *,
        environment: str = "live",
    ) -> int:
        new = rules.new_account(account_id, account_name, broker, initial_capital, environment)
        with self._updating() as book:
            taken = book.of_same_letters(new.account_id)
            if taken is not None:
                raise Conflict(
                    rules.describe_taken_account(
                        taken["account_id"], taken["environment"], new.environment
                    )
                )
            ident = next_id(book.accounts.values())
            book.accounts[new.account_id] = _new_entry(ident, new)
        return ident

    def renumber(self, ident: int, now: int) -> None:
        """Give an account the number that the database has for it."""
        with self._updating() as book:
            renumber(book.accounts.values(), ident, now)

    def get_account(self, account_id: str) -> dict[str, Any] | None:
        entry = self._read().accounts.get(account_id)
        return None if entry is None else rows.account_row(entry)

    def list_accounts(self, status: str | None = None) -> list[dict[str, Any]]:
        wanted = None if status is None else rules.parse_account_status(status)
        found = [rows.account_row(entry) for entry in self._read().accounts.values()]
        kept = [row for row in found if wanted is None or row["status"] == wanted]
        return sorted(kept, key=itemgetter("account_id"))

    def update_account_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
    ) -> None:
        self.record_capital(account_id, current_capital, total_assets, position_value, clock.now())

    def record_capital(
        self,
        account_id: str,
        current_capital: Money,
        total_assets: Money,
        position_value: Money,
        at: datetime,
    ) -> None:
        """Do the `update_account_capital` of a moment; what is newer stands."""
        capital = rules.parse_totals(current_capital, total_assets, position_value)
        rules.warn_unequal_totals(account_id, capital)
        figures = {name: str(figure) for name, figure in asdict(capital).items()}
        with self._updating() as book:
            entry = book.find(account_id)
            self._record_day(account_id, figures, at)
            if _is_due(entry["capital_at"], at):
                entry.update(figures, capital_at=at.isoformat())

    def _record_day(self, account_id: str, figures: Mapping[str, str], at: datetime) -> None:
        path = self._root / "assets" / f"{account_id}.json"
        day = f"{rules.capital_day(at)}"
        with updating(path) as days, believing(path, day):
            if day not in days or _is_due(days[day]["recorded_at"], at):
                days[day] = {**figures, "recorded_at": at.isoformat()}

    def set_account_status(self, account_id: str, status: str, reason: str) -> None:
        after = rules.parse_account_status(status)
        reason = rules.parse_reason(reason)
        with self._updating() as book:
            entry = book.find(account_id)
            rules.check_account_move(AccountStatus(entry["status"]), after)
            entry["status"] = after.value
            entry.setdefault("history", []).append(
                {
                    "at": clock.now().isoformat(),
                    "actor": rules.trader_name(),
                    "status": after.value,
                    "reason": reason,
                }
            )

    def bind_strategy(
        self,
        account_id: str,
        strategy_name: str,
        allocated_capital: Money,
        risk_limit: Money = 100,
    ) -> int:
        share = rules.parse_capital(allocated_capital, "allocated capital")
        limit = rules.parse_risk_limit(risk_limit)
        with self._updating() as book:
            account = book.find(account_id)
            strategy = self._strategies.find(strategy_name)
            name = strategy["strategy_name"]
            rules.check_bindable(account_id, account["status"], name, strategy["status"])
            bound = _bindings(book, account_id=account_id)
            allocated = sum((Decimal(one["allocated_capital"]) for one in bound), Decimal(0))
            rules.check_allocation(account_id, share, allocated, _assets(account))
            if any(one["strategy_name"] == name for one in bound):
                raise Conflict(rules.describe_bound(account_id, name))
            ident = next_id(book.bindings)
            book.bindings.append(_new_binding(ident, account_id, name, share, limit))
        return ident

    def list_account_strategies(self, account_id: str) -> list[dict[str, Any]]:
        book = self._read()
        book.find(account_id)
        return _rows("strategy_name", _bindings(book, account_id=account_id))

    def list_strategy_accounts(self, strategy_name: str) -> list[dict[str, Any]]:
        name = self._strategies.find(strategy_name)["strategy_name"]
        return _rows("account_id", _bindings(self._read(), strategy_name=name))

    def exists(self) -> bool:
        return self._path.exists()

    def load_snapshot(self, read: Callable[[], Document]) -> None:
        """Replace accounts and bindings by what `read` returns, keeping capital that is newer.

        The lock is held while reading, so that an older snapshot never follows a newer one.
        """
        with updating(self._path) as document:
            known = _parse(self._path, document).accounts
            new = read()
            for key, entry in new["accounts"].items():
                _keep_newer_capital(entry, known.get(key))
            document.update(new)

    def _read(self) -> Book:
        return _parse(self._path, read_document(self._path))

    @contextmanager
    def _updating(self) -> Iterator[Book]:
        with updating(self._path) as document:
            yield _parse(self._path, document)


def _parse(path: Path, document: Document) -> Book:
    """Return the parts of a document whose every entry can be shown."""
    accounts = document.setdefault("accounts", {})
    bindings = document.setdefault("bindings", [])
    with believing(path, "accounts"):
        entries = list(accounts.items())
    for key, entry in entries:
        with believing(path, f"account {key}"):
            rows.account_row(entry)
            AccountStatus(entry["status"])
            _stamp(entry["capital_at"])
    with believing(path, "bindings"):
        _rows("strategy_name", bindings)
        _rows("account_id", bindings)
    return Book(accounts, bindings)


def _new_entry(ident: int, new: rules.NewAccount) -> Document:
    return {
        "id": ident,
        "account_id": new.account_id,
        "account_name": new.account_name,
        "broker": new.broker.value,
        "environment": new.environment.value,
        "status": AccountStatus.ACTIVE.value,
        "initial_capital": str(new.initial_capital),
        "current_capital": None,
        "total_assets": None,
        "position_value": None,
        "capital_at": None,
        "created_at": clock.now().isoformat(),
    }


def _new_binding(
    ident: int, account_id: str, strategy_name: str, share: Decimal, limit: Decimal
) -> Document:
    return {
        "id": ident,
        "account_id": account_id,
        "strategy_name": strategy_name,
        "allocated_capital": str(share),
        "risk_limit": str(limit),
        "status": rules.BindingStatus.ACTIVE.value,
        "created_at": clock.now().isoformat(),
    }


def _keep_newer_capital(entry: Document, known: Document | None) -> None:
    before = None if known is None else _stamp(known["capital_at"])
    now = _stamp(entry["capital_at"])
    if known is not None and before is not None and (now is None or now < before):
        entry.update({key: known[key] for key in (*_CAPITAL_KEYS, "capital_at")})


def _bindings(book: Book, **key: str) -> list[Document]:
    return [one for one in book.bindings if one | key == one]


def _rows(other_end: str, bindings: list[Document]) -> list[dict[str, Any]]:
    keys = (other_end, *rows.BINDING_KEYS)
    return rows.binding_rows(other_end, ([one[key] for key in keys] for one in bindings))


def _assets(account: Document) -> Decimal:
    total = account["total_assets"]
    return Decimal(account["initial_capital"] if total is None else total)


def _stamp(text: str | None) -> datetime | None:
    return None if text is None else clock.in_shanghai(datetime.fromisoformat(text))


def _is_due(recorded: str | None, at: datetime) -> bool:
    """Tell whether capital of this moment replaces what was recorded."""
    stamp = _stamp(recorded)
    return stamp is None or stamp <= at
