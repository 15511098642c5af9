"""Ask the running web process whether everything is well."""

from __future__ import annotations

import http.client
import json
import socket

from silverquant_site.embedded.setup import LOCAL

TIMEOUT = 3.0


def answers(port: int) -> bool:
    try:
        with socket.create_connection((LOCAL, port), timeout=0.2):
            return True
    except OSError:
        return False


def red_checks(port: int) -> list[str] | None:
    """Return the names of the checks that fail; None while the web process does not answer."""
    connection = http.client.HTTPConnection(LOCAL, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/health/")
        checks = json.loads(connection.getresponse().read())["checks"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None
    finally:
        connection.close()
    return [name for name, check in checks.items() if check["status"] != "ok"]
