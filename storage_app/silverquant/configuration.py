"""What `credentials.py` says of servers and directories, put to use."""

from __future__ import annotations

import os
from typing import Final

from storage_app.silverquant import registry
from storage_app.silverquant.credentials import Credentials
from storage_app.stores.setup import SERVER_KEYS, STORE_KEYS

# The paper twin of an account is an account of its own.
PAPER: Final = "paper"
_SETTINGS: Final = tuple(key.upper() for key in (*STORE_KEYS, *SERVER_KEYS))


def bind_credentials(found: Credentials) -> list[str]:
    """Bind the directories that the file names; return their accounts."""
    number = found.text("QMT_ACCOUNT_ID")
    if found.path is None or not number:
        return []
    accounts = []
    for name, account in (("CACHE_PROD_PATH", number), ("CACHE_TEST_PATH", f"{number}-{PAPER}")):
        if found.text(name):
            registry.bind_tree(found.path.parent / found.text(name), account)
            accounts.append(account)
    return accounts


def apply_settings(found: Credentials) -> None:
    """Set what the file says of servers and switches, unless the environment says it already.

    Names are those of the environment; it counts before `.env`, which is read later.
    """
    for name in _SETTINGS:
        value = found.values.get(name)
        if isinstance(value, str | int) and value != "":
            os.environ.setdefault(name, str(value))
