"""The first line of a script: `import storage_app.silverquant.install`.

From then on `tools.utils_cache` works on the platform. The directories that `credentials.py`
names are bound: CACHE_PROD_PATH to the account QMT_ACCOUNT_ID, CACHE_TEST_PATH to its paper
twin; a folder in one of them is a namespace. Nothing is opened before the first use.
"""

from __future__ import annotations

import logging

from storage_app.silverquant import configuration, credentials, hook

logger = logging.getLogger(__name__)


def install() -> None:
    found = credentials.read()
    configuration.apply_settings(found)
    accounts = configuration.bind_credentials(found)
    hook.install()
    logger.info("Bound to %s", ", ".join(accounts) or "no account by credentials.py")


install()
