"""The command line: `python -m chdb_server --path var/clickhouse --port 9000`."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import socket
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from chdb_server.engine import Engine
from chdb_server.errors import ChdbServerError
from chdb_server.memory import release_library_pages
from chdb_server.options import EngineOptions
from chdb_server.server import Server
from chdb_server.session import Credentials, Host
from chdb_server.watch import Watch

logger = logging.getLogger("chdb_server")

TIMEZONE = "Asia/Shanghai"
_STOP_WITHIN = 5.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_PORT = 65535
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main() -> NoReturn:
    arguments = _parser().parse_args()
    logging.basicConfig(
        level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.environ["TZ"] = TIMEZONE
    time.tzset()
    try:
        _serve(arguments)
    except (ChdbServerError, OSError) as error:
        sys.stderr.write(f"chdb_server: {error}\n")
        _exit(1)
    _exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chdb_server", description="ClickHouse's native protocol in front of embedded chDB."
    )
    add = parser.add_argument
    add("--path", type=_directory, required=True, help="directory of the data")
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=9000, help="port to listen on (default %(default)s)")
    add("--database", default="silverquant", help="database to create (default %(default)s)")
    add("--max-memory", type=_bytes, default="2G", help="for all queries; 0: 90%% of the machine")
    add("--max-threads", type=int, default=0, help="per query; 0: one per core")
    add("--max-connections", type=int, default=256, help="clients at once (default %(default)s)")
    add("--fsync", action=argparse.BooleanOptionalAction, default=True, help="per insert")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default="info", help="default %(default)s")
    return parser


def _directory(text: str) -> Path:
    if "?" in text:
        raise argparse.ArgumentTypeError("a question mark cannot be part of the path")
    return Path(text).resolve()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"not a port: {text}")
    return int(text)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"not a size: {text} (2G, 512M and the like)")
    return int(found.group(1)) * _UNITS[found.group(2)]


def _serve(arguments: argparse.Namespace) -> None:
    """Run until a signal; the port is taken before the engine starts, answered after."""
    # Before the engine has threads, which inherit it: a signal waits for `sigwait`, whenever it
    # comes. A handler would run between any two steps of the thread that it has to wake.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    listener = _bound(arguments.host, arguments.port)
    engine = _opened(arguments)
    credentials = _credentials()
    host = Host(engine, Watch(engine.interrupt), engine.version(), TIMEZONE, credentials)
    server = Server(listener, host, arguments.max_connections)
    server.start()
    name, port = listener.getsockname()[:2]
    if credentials.password is None and not ip_address(name).is_loopback:
        logger.warning("%s can be reached by others and no password is set", name)
    logger.info("ready on %s port %d, data in %s", name, port, arguments.path)
    signal.sigwait(_STOP_SIGNALS)
    logger.info("stopping")
    if server.stop(_STOP_WITHIN):
        engine.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _opened(arguments: argparse.Namespace) -> Engine:
    engine = Engine(
        EngineOptions(arguments.path, arguments.max_memory, arguments.max_threads, arguments.fsync)
    )
    if arguments.database:
        engine.create_database(arguments.database)
    release_library_pages()
    return engine


def _credentials() -> Credentials:
    """Read who may connect; what the environment leaves out is not asked for."""
    user = os.environ.get("CHDB_SERVER_USER") or None
    return Credentials(user, os.environ.get("CHDB_SERVER_PASSWORD") or None)


def _exit(status: int) -> NoReturn:
    """End without the interpreter's own clean-up, which the engine's threads outlive."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
