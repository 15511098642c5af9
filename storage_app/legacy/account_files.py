"""Account numbers out of `credentials.py`, which is read and never run, or `accounts.json`.

The former holds secrets as well (tokens, notification keys); nothing but the account numbers and
the two cache directories is looked at or repeated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from storage_app.contract.arguments import parse_account
from storage_app.contract.errors import InvalidInput
from storage_app.legacy import fields
from storage_app.legacy.scripts import Assignment, Script, read_script
from storage_app.legacy.text import LegacyFileError, Rejected, read_text

ASSETS_NAME = "assets.csv"


@dataclass(frozen=True, slots=True)
class _Variable:
    """What a constant of the file says; there is no `ACCOUNT_ID` in any version."""

    name: str
    broker: str
    environment: str
    cache: str


# The simulator that strategies use for tests is the paper account of the second broker.
_VARIABLES = (
    _Variable("QMT_ACCOUNT_ID", "QMT", "live", "CACHE_PROD_PATH"),
    _Variable("GM_ACCOUNT_ID", "GM", "paper", "CACHE_TEST_PATH"),
)


@dataclass(frozen=True, slots=True)
class LegacyAccount:
    """An account number with what the file says of it; `assets` is its file of net values."""

    account_id: str
    broker: str
    environment: str
    line: int
    variable: str
    assets: Path | None = None
    name: str = ""
    capital: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountFile:
    accounts: list[LegacyAccount] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_accounts(path: Path) -> AccountFile:
    """Return the accounts of a file; LegacyFileError when it cannot be read or names none."""
    return _read_json(path) if path.suffix == ".json" else _read_credentials(path)


def _read_credentials(path: Path) -> AccountFile:
    script = read_script(path)
    found = AccountFile()
    for variable in _VARIABLES:
        one = script.names.get(variable.name)
        if one is None or (one.value in ("", None) and not one.error):
            continue
        try:
            found.accounts.append(_account(script, variable, one))
        except ValueError as exc:
            value = "" if one.error else str(one.value)
            raw = script.line(one.line)
            found.rejected.append(Rejected(one.line, variable.name, value, str(exc), raw))
    if not found.accounts and not found.rejected:
        names = " or ".join(variable.name for variable in _VARIABLES)
        raise LegacyFileError(path, 0, "", "", f"there is no {names} with an account number")
    return found


def _account(script: Script, variable: _Variable, one: Assignment) -> LegacyAccount:
    if one.error:
        raise InvalidInput(one.error)
    account_id = parse_account(str(one.value))
    assets = _assets(script, variable)
    return LegacyAccount(
        account_id, variable.broker, variable.environment, one.line, variable.name, assets
    )


def _assets(script: Script, variable: _Variable) -> Path | None:
    """Return the file of net values in the cache directory that the file names, if it is there."""
    cache = script.names.get(variable.cache)
    if cache is None or not isinstance(cache.value, str) or not cache.value:
        return None
    path = script.path.parent / cache.value / ASSETS_NAME
    return path if path.is_file() else None


def _read_json(path: Path) -> AccountFile:
    """Read what a store of an earlier design wrote: accounts by number."""
    text = read_text(path)
    try:
        content = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as exc:
        reason = f"{exc.msg}: the file is damaged or cut off"
        raise LegacyFileError(path, exc.lineno, f"character {exc.colno}", "", reason) from exc
    except RecursionError as exc:
        raise LegacyFileError(path, 1, "", "", "too deeply nested") from exc
    if not isinstance(content, dict) or not content:
        raise LegacyFileError(path, 1, "", "", "there is no account in this file")
    found = AccountFile()
    for number, entry in content.items():
        line = text.count("\n", 0, max(text.find(json.dumps(number)), 0)) + 1
        try:
            found.accounts.append(_json_account(number, entry, line))
        except ValueError as exc:
            raw = json.dumps({number: entry}, ensure_ascii=False, default=str)
            found.rejected.append(Rejected(line, number, number, str(exc), raw))
    return found


def _json_account(number: str, entry: Any, line: int) -> LegacyAccount:
    if not isinstance(entry, dict):
        raise InvalidInput("an account must be an object")
    capital = entry.get("initial_capital")
    return LegacyAccount(
        parse_account(number),
        broker=str(entry.get("broker", "")),
        environment=str(entry.get("environment", "live")),
        line=line,
        variable=number,
        name=str(entry.get("account_name") or ""),
        capital=None if capital is None else fields.parse_number(str(capital)),
    )
