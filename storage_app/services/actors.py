"""Who acts: a person, a trading program, a command at a terminal or a scheduled job."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from functools import lru_cache

from django.http import HttpRequest

from storage_app.contract import rules
from storage_app.models import User

# What AuditEntry.actor holds.
_NAME_LENGTH = 150


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is written into the audit trail, and from where.

    `user` is the person whose permissions and row scope apply; None means that the operating
    system let somebody run a program here, who is not restricted further. `is_automatic` marks
    a job that nobody watches, which may suspend an account and decide nothing else.
    """

    name: str
    user: User | None = None
    origin: str = ""
    is_automatic: bool = False


def person(user: User, origin: str = "") -> Actor:
    return Actor(name=user.get_username(), user=user, origin=origin)


def of_request(request: HttpRequest) -> Actor:
    """Return the person signed in, with the address the request came from."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in; the page must ask for that first")
    return person(request.user, address(request) or "")


def address(request: HttpRequest) -> str | None:
    """Return the peer's address.

    REMOTE_ADDR only: anybody can send X-Forwarded-For. Behind a reverse proxy it is the address
    of the proxy, unless the server in front of Django is told to trust and unwrap that header
    (gunicorn: `--forwarded-allow-ips` with the PROXY protocol).
    """
    return request.META.get("REMOTE_ADDR") or None


@lru_cache(maxsize=1)
def trader() -> Actor:
    """Return the program that calls a DataStore on this host."""
    return Actor(name=rules.trader_name(), origin=socket.gethostname()[:100])


def command(name: str) -> Actor:
    """Return the operating system's user who runs a management command."""
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    return Actor(name=who[:_NAME_LENGTH], origin=name)


def job(name: str) -> Actor:
    return Actor(name="system", origin=name, is_automatic=True)
