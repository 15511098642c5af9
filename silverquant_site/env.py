"""The only module that reads the environment.

Values come from, first wins: the environment, `.env` beside manage.py, and
`DATA_DIR/platform.env`, which `make run` writes so that commands and trading scripts on the
same machine find its servers. Every reader refuses what it does not understand and names the
variable; a password is never part of a message. PLATFORM_ENV_FILES=no leaves the files alone.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
PLATFORM_FILE = "platform.env"

_FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class StoreMode(StrEnum):
    FILE = "file"
    REDIS = "redis"
    MYSQL = "mysql"
    CLICKHOUSE = "clickhouse"
    HYBRID = "hybrid"


def text(name: str, default: str = "") -> str:
    """Return the value as it stands (`$` has no meaning in it); empty counts as not set."""
    return str(environ.Env.ENVIRON.get(name, "")).strip() or default


def flag(name: str, *, default: bool) -> bool:
    value = text(name)
    if not value:
        return default
    try:
        return _FLAGS[value.lower()]
    except KeyError:
        raise ImproperlyConfigured(
            f"{name}={value!r} is not a switch; write 1/0, true/false, yes/no or on/off"
        ) from None


def integer(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    value = text(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name}={value!r} must be a whole number, {least} to {most}")
    return int(value)


def port(name: str, default: int) -> int:
    return integer(name, default, least=1, most=65535)


def names(name: str, default: str) -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def urls(name: str) -> list[str]:
    """Return URLs that stand between commas or white space; one may hold commas itself."""
    parts = re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", text(name))
    return [part.strip(" ,") for part in parts if part.strip(" ,")]


def store_mode(name: str = "DATA_STORE_MODE") -> StoreMode:
    value = text(name, StoreMode.FILE)
    try:
        return StoreMode(value)
    except ValueError:
        known = ", ".join(StoreMode)
        raise ImproperlyConfigured(
            f"{name}={value!r} is not a mode; choose one of {known}"
        ) from None


def required(name: str, reason: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: {reason}")
    return value


def directory(name: str, default: Path) -> Path:
    path = Path(text(name) or default).expanduser()
    return path if path.is_absolute() else BASE_DIR / path


def together(leader: str, *others: str) -> bool:
    """Tell whether a group of variables is in use; half a group is refused."""
    if not text(leader):
        orphans = [name for name in others if text(name)]
        if orphans:
            raise ImproperlyConfigured(f"{', '.join(orphans)} set without {leader}")
        return False
    for name in others:
        required(name, f"{leader} is set, so {', '.join(others)} are needed too")
    return True


def data_directory() -> Path:
    return directory("DATA_DIR", BASE_DIR / "var")


def is_given(name: str) -> bool:
    """Tell whether a person set the variable; what `make run` wrote does not count."""
    return name in _GIVEN and bool(text(name))


def inherited() -> dict[str, str]:
    """Return the whole environment, for the programs that `make run` starts."""
    return dict(environ.Env.ENVIRON)


def _read_files() -> frozenset[str]:
    if not flag("PLATFORM_ENV_FILES", default=True):
        return frozenset(environ.Env.ENVIRON)
    environ.Env.read_env(BASE_DIR / ".env")
    given = frozenset(environ.Env.ENVIRON)
    environ.Env.read_env(data_directory() / PLATFORM_FILE)
    return given


_GIVEN = _read_files()
