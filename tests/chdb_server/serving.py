"""A real chdb_server in its own process, on a free port and a directory of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from clickhouse_driver import Client
from clickhouse_driver.errors import NetworkError

from tests.servers import free_port

START_WITHIN = 60.0


class ServerProcess:
    def __init__(
        self, path: Path, *options: str, is_awaited: bool = True, **environment: str
    ) -> None:
        self.path = path
        self.port = free_port()
        self._options = options
        self._environment = {**os.environ, **environment}
        self._is_awaited = is_awaited
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "chdb_server", "--path", str(self.path)]
        command += ["--port", str(self.port), *self._options]
        self.process = subprocess.Popen(
            command, env=self._environment, stderr=subprocess.PIPE, text=True
        )
        if self._is_awaited:
            self._await_port()
        return self.process

    def client(self, **options) -> Client:
        return Client("127.0.0.1", port=self.port, **options)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def statements(self, fragment: str) -> list[str]:
        """Return the running statements that have `fragment` in them."""
        with self.client() as observer:
            texts = observer.execute("SELECT query FROM system.processes")
        return [text for (text,) in texts if fragment in text and "system.processes" not in text]

    def terminate(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask to stop; return the exit status and what was logged."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def _await_port(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.process.kill()
        raise NetworkError(f"no server on port {self.port}: {self.process.communicate()[1]}")


def run_to_the_end(
    path: Path, port: int, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to give up."""
    command = [sys.executable, "-m", "chdb_server", "--path", str(path), "--port", str(port)]
    surroundings = {**os.environ, **environment}
    return subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=surroundings,
    )
