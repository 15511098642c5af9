"""The account that an import fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.legacy.assets import read_assets
from storage_app.legacy.directory import BookFolder
from storage_app.models import Account, Environment
from storage_app.services import accounts
from storage_app.services.actors import Actor


@dataclass(frozen=True, slots=True)
class WantedAccount:
    """What the user says about the account; None leaves it to what stands or to a default."""

    account_id: str
    may_create: bool = False
    name: str | None = None
    broker: str | None = None
    environment: str | None = None
    capital: Decimal | None = None
    is_demo: bool = False


def ensure_account(
    wanted: WantedAccount, books: Sequence[BookFolder], actor: Actor, *, dry_run: bool
) -> str:
    """Find or open the account; return what was done, in one line.

    NotFound when it does not exist and may not be created, Conflict when it stands in another
    environment, InvalidInput when it cannot be opened as asked.
    """
    account = accounts.find(wanted.account_id)
    if account is not None:
        _check_environment(account, wanted)
        known = {"number": wanted.account_id, "environment": account.get_environment_display()}
        return _("account %(number)s exists (%(environment)s)") % known
    if not wanted.may_create:
        raise NotFound(
            f"there is no account {wanted.account_id}; create it first or pass --create-account"
        )
    capital, origin = _capital(wanted, books)
    environment = wanted.environment or "live"
    broker = wanted.broker
    if broker is None:
        raise InvalidInput("a new account needs --broker (QMT, GM or TDX)")
    name = wanted.name or wanted.account_id
    rules.new_account(wanted.account_id, name, broker, capital, environment)
    if not dry_run:
        accounts.create(
            actor,
            wanted.account_id,
            name,
            broker,
            capital,
            environment,
            is_demo=wanted.is_demo,
            reason="import of a SilverQuant directory",
        )
    said = {
        "number": wanted.account_id,
        "environment": Environment(environment).label,
        "capital": f"{capital:,}",
        "origin": origin,
    }
    if dry_run:
        text = _(
            "account %(number)s (%(environment)s) would be created, capital %(capital)s %(origin)s"
        )
    else:
        text = _("account %(number)s (%(environment)s) created, capital %(capital)s %(origin)s")
    return text % said


def _check_environment(account: Account, wanted: WantedAccount) -> None:
    if wanted.environment and wanted.environment != account.environment:
        raise Conflict(
            rules.describe_taken_account(
                account.account_id, account.environment, wanted.environment
            )
        )


def _capital(wanted: WantedAccount, books: Sequence[BookFolder]) -> tuple[Decimal, str]:
    if wanted.capital is not None:
        return wanted.capital, _("as given")
    path = next((book.assets for book in books if not book.namespace and book.assets), None)
    if path is None:
        raise InvalidInput("a new account needs --capital, since there is no assets.csv")
    values = [(day, value) for day, value in read_assets(path).values.items() if value > 0]
    if not values:
        raise InvalidInput(f"a new account needs --capital, since {path} has no good row")
    day, value = values[0]
    origin = _("from the first value of %(file)s (%(day)s)") % {"file": path.name, "day": day}
    return value, origin
