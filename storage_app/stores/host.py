"""Who this host is: a name that holds the leases of books, kept beside the journal.

`journal/host.json` is written once. A DATA_DIR that is copied to another machine takes the name
along, and two hosts would believe to hold the same leases: remove the file there.
"""

from __future__ import annotations

import logging
import re
import secrets
import socket
from pathlib import Path

from storage_app.contract.errors import Corrupt
from storage_app.stores.file.documents import read_document, updating

logger = logging.getLogger(__name__)

FILE = "host.json"


def host_name(directory: Path) -> str:
    """Return the name of the host whose journal is in `directory`, making one the first time."""
    path = directory / FILE
    document = read_document(path)
    if not document:
        with updating(path) as document:
            if not document:
                document |= {"host": _new_name(), "machine": socket.gethostname()}
    return _parse(path, document)


def known_host_name(directory: Path) -> str:
    """Return the name, "" of a host that has none yet; nothing is written."""
    document = read_document(directory / FILE)
    return _parse(directory / FILE, document) if document else ""


def _new_name() -> str:
    machine = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:60]
    return f"{machine}-{secrets.token_hex(3)}"


def _parse(path: Path, document: dict[str, object]) -> str:
    name, machine = document.get("host"), document.get("machine")
    if not isinstance(name, str) or not name:
        raise Corrupt(path, 'an object like {"host": "trader-1a2b3c"} was expected')
    if machine != socket.gethostname():
        logger.warning(
            "%s was written on %s, this is %s; if DATA_DIR was copied from there, remove the file",
            path,
            machine,
            socket.gethostname(),
        )
    return name
