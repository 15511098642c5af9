"""The account that an import fills, and accounts out of the files that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.account_files import LegacyAccount, read_accounts
from storage_app.legacy.assets import read_assets
from storage_app.legacy.directory import BookFolder
from storage_app.legacy.text import LegacyFileError, Rejected
from storage_app.models import Account, Environment
from storage_app.services import accounts
from storage_app.services.actors import Actor

KIND = gettext_noop("accounts")


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """What the files of accounts do not say.

    `capital` is the initial capital by account number, `any_capital` that of all others; else
    it is the first net value of the strategy's folder. `only` limits the import to one number.
    """

    only: str | None = None
    capital: Mapping[str, Decimal] = field(default_factory=dict)
    any_capital: Decimal | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    dry_run: bool = False
    watch: Watch = UNWATCHED


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
    return _first_value(path)


def _first_value(path: Path) -> tuple[Decimal, str]:
    values = [(day, value) for day, value in read_assets(path).values.items() if value > 0]
    if not values:
        raise InvalidInput(f"a new account needs --capital, since {path} has no good row")
    day, value = values[0]
    origin = _("from the first value of %(file)s (%(day)s)") % {"file": path.name, "day": day}
    return value, origin


def import_accounts(path: Path, actor: Actor, options: AccountOptions) -> ImportResult:
    """Open the accounts that a `credentials.py` or an `accounts.json` names.

    An account that exists counts as the same if broker and environment are what the file says,
    else it is rejected. LegacyFileError for a file that cannot be read or names no account.
    """
    content = read_accounts(path)
    rejected = [row for row in content.rejected if options.only in (None, row.value)]
    wanted = [one for one in content.accounts if options.only in (None, one.account_id)]
    if options.only and not wanted and not rejected:
        raise LegacyFileError(path, 0, "", "", f"account {options.only} is not in this file")
    notes = []
    new = same = 0
    for done, one in enumerate(wanted, start=1):
        try:
            note = _open(one, actor, options)
        except (Conflict, InvalidInput, LegacyFileError) as exc:
            rejected.append(
                Rejected(one.line, one.variable, one.account_id, str(exc), one.account_id)
            )
        else:
            new += bool(note)
            same += not note
            notes.append(note)
        options.watch.step(_(KIND), done, len(wanted))
    read = new + same + len(rejected)
    rejects = sorted(rejected, key=lambda row: row.line)
    return ImportResult(path, KIND, read, new, same, rejects, join_notes(*notes))


def _open(one: LegacyAccount, actor: Actor, options: AccountOptions) -> str:
    """Open an account and say so; an empty text means that it stands there."""
    environment = options.environment or one.environment
    account = accounts.find(one.account_id)
    if account is not None:
        if (account.environment, account.broker) == (environment, one.broker):
            return ""
        raise Conflict(
            f"it exists as {account.environment} at {account.broker}, "
            f"not {environment} at {one.broker}"
        )
    capital, origin = _legacy_capital(one, options)
    name = options.names.get(one.account_id) or one.name or one.account_id
    rules.new_account(one.account_id, name, one.broker, capital, environment)
    if not options.dry_run:
        reason = f"import of {one.variable}"
        accounts.create(
            actor, one.account_id, name, one.broker, capital, environment, reason=reason
        )
    return _("%(number)s with capital %(capital)s %(origin)s") % {
        "number": one.account_id,
        "capital": f"{capital:,}",
        "origin": origin,
    }


def _legacy_capital(one: LegacyAccount, options: AccountOptions) -> tuple[Decimal, str]:
    given = options.capital.get(one.account_id, options.any_capital)
    if given is not None:
        return given, _("as given")
    if one.capital is not None:
        return one.capital, _("as the file says")
    if one.assets is None:
        raise InvalidInput("its capital is not known: there is no assets.csv, so give --capital")
    return _first_value(one.assets)
