"""Private servers for the tests: each on a free port with a data directory of its own.

Loaded with `-p tests.servers`, before Django reads its settings, so that the settings point at
servers that nothing else on the machine uses. They start when the first test needs them and
stop with the run; a server that cannot start fails the run.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import clickhouse_driver

ROOT = Path(__file__).resolve().parent.parent
START_DEADLINE = 60.0
MEMORY = Path("/dev/shm")  # noqa: S108, the directories below it are private
# Servers, test databases and temporary directories of one process at their largest.
ROOM = 2 << 30
# Below the ports that the kernel gives to clients, or one of them could be faster.
PORTS = range(10_000, 32_000)


def _make_base() -> Path:
    """Make the directory of this process, for tests in memory, where a sync costs nothing.

    Benchmarks measure the disk. The name is short, because the path of a unix socket may have
    about 100 characters only.
    """
    in_memory = (
        "pytest" in sys.modules
        and os.access(MEMORY, os.W_OK)
        and shutil.disk_usage(MEMORY).free > ROOM
    )
    return Path(tempfile.mkdtemp(prefix="sqtest-", dir=MEMORY if in_memory else None))


def free_port() -> int:
    """Return a port that nobody has; two processes that ask at once hardly get the same."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# A racing child of a test has the servers of its parent.
IS_CHILD = multiprocessing.parent_process() is not None
BASE = Path(os.environ["DATA_DIR"]).parent if IS_CHILD else _make_base()


def find_binary(*names: str) -> str:
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found:
            return found
    raise RuntimeError(
        f"none of {', '.join(names)} is installed; run `make test`, which installs it"
    )


@dataclass
class Server:
    """A server process that a test may stop, kill, freeze and start again on the same data."""

    name: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        path = BASE / self.name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def prepare(self) -> None:
        """Make the data directory, once."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
                return True
        except OSError:
            return False

    def start(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        self.prepare()
        log = (self.directory / "server.log").open("ab")
        self.process = subprocess.Popen(
            self.command(), stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )
        deadline = time.monotonic() + START_DEADLINE
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = (self.directory / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start:\n{tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.killpg(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGCONT)
        os.killpg(self.process.pid, how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class MariaDB(Server):
    def prepare(self) -> None:
        if (self.directory / "data").exists():
            return
        subprocess.run(
            [
                find_binary("mariadb-install-db"), "--no-defaults", "--user=root",
                f"--datadir={self.directory}/data", "--auth-root-authentication-method=normal",
                "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        init = self.directory / "init.sql"
        init.write_text(
            "CREATE USER IF NOT EXISTS 'app'@'127.0.0.1' IDENTIFIED BY 'app-secret';\n"
            "GRANT ALL ON *.* TO 'app'@'127.0.0.1';\n"
        )

    def command(self) -> list[str]:
        # Durability is off: only tests may run like this.
        return [
            find_binary("mariadbd"), "--no-defaults", "--user=root",
            f"--datadir={self.directory}/data", f"--socket={self.directory}/my.sock",
            f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--pid-file={self.directory}/my.pid", "--skip-name-resolve",
            f"--init-file={self.directory}/init.sql", "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci", "--innodb-flush-log-at-trx-commit=2",
            "--innodb-doublewrite=0", "--sync-binlog=0", "--skip-log-bin",
            "--innodb-flush-method=nosync", "--innodb-log-file-size=64M",
            "--innodb-buffer-pool-size=256M", "--performance-schema=OFF",
            "--max-connections=200",
        ]  # fmt: skip


class Redis(Server):
    def is_ready(self) -> bool:
        """Tell whether it serves; it listens already while it loads its log."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.2) as client:
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def command(self) -> list[str]:
        return [
            find_binary("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(self.directory), "--appendonly", "yes", "--appendfsync", "everysec",
            "--save", "", "--maxmemory-policy", "noeviction",
        ]  # fmt: skip


class ClickHouse(Server):
    def is_ready(self) -> bool:
        """Tell whether it answers; right after its start a first answer may take a while."""
        client = clickhouse_driver.Client(
            "127.0.0.1", port=self.port, connect_timeout=START_DEADLINE
        )
        try:
            return super().is_ready() and bool(client.execute("SELECT 1"))
        except (clickhouse_driver.errors.Error, OSError, EOFError):
            return False
        finally:
            client.disconnect()

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "chdb_server", "--path", str(self.directory / "data"),
            "--port", str(self.port),
        ]  # fmt: skip


MARIADB = MariaDB("mariadb")
REDIS = Redis("redis")
CLICKHOUSE = ClickHouse("clickhouse")
SERVERS = (MARIADB, REDIS, CLICKHOUSE)


def _point_settings_here() -> None:
    """Fill the environment that the settings read; `RELATIONAL=sqlite` leaves MariaDB out."""
    os.environ.update(
        DATA_DIR=str(BASE / "var"),
        DATA_STORE_MODE="hybrid",
        SECRET_KEY="only-for-tests",
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=str(REDIS.port),
        REDIS_PASSWORD="",
        REDIS_DB="0",
        CLICKHOUSE_HOST="127.0.0.1",
        CLICKHOUSE_PORT=str(CLICKHOUSE.port),
        CLICKHOUSE_USER="default",
        CLICKHOUSE_PASSWORD="",
        CLICKHOUSE_DATABASE="silverquant",
        CLICKHOUSE_CLUSTER="",
        PLATFORM_ENV_FILES="no",
        LOG_LEVEL="WARNING",
        LOG_FILES="no",
        ALERT_URLS="",
    )
    mysql = {
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_PORT": str(MARIADB.port),
        "MYSQL_USER": "app",
        "MYSQL_PASSWORD": "app-secret",
        "MYSQL_DATABASE": "silverquant",
    }
    for name in mysql:
        os.environ.pop(name, None)
    if os.environ.get("RELATIONAL", "mariadb") == "mariadb":
        os.environ.update(mysql)


def pytest_unconfigure() -> None:
    """Stop the servers while nobody is in a hurry: parallel runs kill a worker that ends slowly."""
    stop_all()


def stop_all() -> None:
    for server in SERVERS:
        server.stop()
    shutil.rmtree(BASE, ignore_errors=True)


if not IS_CHILD:
    (BASE / "var").mkdir(parents=True, exist_ok=True)
    # Where pytest makes `tmp_path`; workers have theirs below that of the run.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(BASE))
    _point_settings_here()
    atexit.register(stop_all)
