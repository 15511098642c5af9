"""The first line of a script: `import storage_app.silverquant.install`.

From then on `tools.utils_cache` works on the platform. The directories that `credentials.py`
names are bound: CACHE_PROD_PATH to the account QMT_ACCOUNT_ID, CACHE_TEST_PATH to its paper
twin; a folder in one of them is a namespace. Nothing is opened before the first use.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from storage_app.silverquant import credentials, hook, registry
from storage_app.silverquant.credentials import Credentials
from storage_app.stores.setup import SERVER_KEYS, STORE_KEYS

logger = logging.getLogger(__name__)

PAPER: Final = "paper"
# Servers and switches that credentials.py may name; what the environment says counts first.
_SETTINGS: Final = tuple(key.upper() for key in (*STORE_KEYS, *SERVER_KEYS))


def bind_credentials(found: Credentials) -> list[str]:
    """Bind what the file names; return the accounts."""
    number = found.text("QMT_ACCOUNT_ID")
    base = found.path.parent if found.path else None
    if base is None or not number:
        return []
    accounts = []
    for name, account in (
        ("CACHE_PROD_PATH", number),
        ("CACHE_TEST_PATH", f"{number}-{PAPER}"),
    ):
        if found.text(name):
            registry.bind_tree(base / found.text(name), account)
            accounts.append(account)
    return accounts


def apply_settings(found: Credentials) -> None:
    """Set what credentials.py says of servers, unless the environment says it already."""
    for name in _SETTINGS:
        value = found.values.get(name)
        if isinstance(value, str | int) and value != "":
            os.environ.setdefault(name, str(value))


def install() -> None:
    found = credentials.read()
    apply_settings(found)
    accounts = bind_credentials(found)
    hook.install()
    if not accounts:
        logger.warning(
            "No directory is bound: credentials.py names no QMT_ACCOUNT_ID with a CACHE_PROD_PATH;"
            " call storage_app.silverquant.bind(PATH_HELD, account)"
        )


install()
