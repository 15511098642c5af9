"""The stack of `make run`, started for real in a directory of its own."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.servers import ROOT, free_port
from tests.test_deployment import example_of

SECONDS_TO_START = 120
STORE_SCRIPT = """
from storage_app import create_data_store
store = create_data_store()
{statement}
store.close()
"""


class Stack:
    """`make run` on a data directory, as a person's shell would start it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        # Nothing of this test run's environment, which points at other servers.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/root"),
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
        }
        self.process: subprocess.Popen[str] | None = None
        self.output = data_dir.parent / f"{data_dir.name}.out"

    def start(self) -> str:
        """Return the Ready line."""
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                ["make", "--no-print-directory", "run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        wait_for(lambda: "Ready:" in self.text() or self.process.poll() is not None)
        lines = self.text().splitlines()
        assert lines, "make run said nothing"
        assert lines[-1].startswith("Ready: "), self.text()
        return lines[-1]

    def text(self) -> str:
        return self.output.read_text()

    def health(self) -> tuple[int, dict[str, str]]:
        try:
            with urllib.request.urlopen(f"{self.url}health/", timeout=5) as answer:  # noqa: S310
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            status, body = answer.code, answer.read()
        checks = json.loads(body)["checks"]
        return status, {name: check["status"] for name, check in checks.items()}

    def is_green(self) -> bool:
        try:
            return self.health()[0] == 200
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def processes(self) -> dict[int, str]:
        """Return every process that lives in this data directory, with its command line."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self._owns(entry):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(entry.name)] = command
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        # A dead process that nobody has waited for yet has no command line.
        return {pid: command for pid, command in found.items() if command}

    def _owns(self, entry: Path) -> bool:
        mark = f"DATA_DIR={self.data_dir}".encode()
        # Valkey writes its title over its environment, but works in its directory.
        inside = (entry / "cwd").readlink().is_relative_to(self.data_dir)
        return inside or mark in (entry / "environ").read_bytes().split(b"\0")

    def find(self, part: str) -> int:
        return next(pid for pid, command in self.processes().items() if part in command)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            if how is signal.SIGINT:
                # As a terminal does: Ctrl-C goes to everything in the foreground.
                os.killpg(self.process.pid, how)
            else:
                self.process.send_signal(how)
            self.process.wait(40)
        assert wait_for(lambda: not self.processes(), 40), self.processes()

    def script(self, statement: str) -> str:
        """Run a trader's script on the same machine; DATA_DIR is all that it is told."""
        return self.python(STORE_SCRIPT.format(statement=statement))

    def python(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=True,
        )
        return done.stdout.strip()


def wait_for(is_done, seconds=SECONDS_TO_START) -> bool:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def sign_in(url: str, password: str) -> str:
    """Return the address of the page that a person sees after signing in."""
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    browser.open(f"{url}admin/login/").read()
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    data = urllib.parse.urlencode(form).encode()
    return browser.open(f"{url}admin/login/?next=/admin/", data).geturl()


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path / "data dir")
    yield stack
    for pid in stack.processes():
        os.kill(pid, signal.SIGKILL)


def test_platform_comes_up_serves_survives_and_leaves_nothing_behind(stack):
    ready = stack.start()

    match = re.fullmatch(rf"Ready: {re.escape(stack.url)} admin (\S{{12,}})", ready)
    assert match, ready
    status, checks = stack.health()
    assert status == 200
    assert set(checks) == {"redis", "sqlite", "clickhouse", "data_dir", "worker", "beat"}
    assert set(checks.values()) == {"ok"}
    assert sign_in(stack.url, match[1]) == f"{stack.url}admin/"
    assert stack.script("print(len(store.get_positions('55009728')) > 0)") == "True"
    for secret in ("platform.env", "admin_password", "valkey/valkey.conf"):
        assert (stack.data_dir / secret).stat().st_mode & 0o077 == 0
    password = (stack.data_dir / "platform.env").read_text().split("REDIS_PASSWORD=")[1].split()[0]
    assert not [command for command in stack.processes().values() if password in command]

    second = subprocess.run(
        [sys.executable, "-m", "silverquant_site.embedded"],
        cwd=ROOT, env=stack.environment, text=True, capture_output=True,
    )  # fmt: skip
    assert second.returncode == 1
    assert re.fullmatch(r"make run: the platform already runs on .*\n", second.stderr)

    stack.script("store.create_strategy('my_strategy', 'my_strategy', 'other', '1.0.0')")
    stack.python(example_of("README.md"))

    stack.script("store.update_held_days('600000.SH', 7, '55009728')")
    os.kill(stack.find("celery -A silverquant_site.celery worker"), signal.SIGKILL)
    wait_for(lambda: "worker was ended by SIGKILL; starting it again" in stack.text(), 20)
    assert wait_for(stack.is_green, 40), stack.text()

    os.kill(stack.find("silverquant_site.embedded"), signal.SIGKILL)
    assert wait_for(lambda: not stack.processes(), 40), stack.processes()

    assert stack.start() == ready
    assert stack.script("print(store.get_held_days('600000.SH', '55009728'))") == "7"
    stack.script(
        "from storage_app.models import User\n"
        "user = User.objects.get(username='admin')\n"
        "user.set_password('a-better-one-4711')\n"
        "user.save()"
    )
    stack.stop()

    assert stack.start() == f"Ready: {stack.url} admin"
    stack.stop(signal.SIGINT)


def test_a_store_that_is_down_shows_in_health_and_comes_back(stack):
    stack.start()
    server = stack.find("chdb_server")
    os.kill(server, signal.SIGSTOP)

    started = time.monotonic()
    status, checks = stack.health()

    assert time.monotonic() - started < 2
    assert status == 503
    assert checks["clickhouse"] == "down"
    assert checks["redis"] == checks["worker"] == checks["beat"] == "ok"
    os.kill(server, signal.SIGCONT)
    assert wait_for(stack.is_green, 20)
    os.kill(stack.find("valkey-server"), signal.SIGKILL)
    assert wait_for(lambda: "valkey was ended by SIGKILL" in stack.text(), 20)
    assert wait_for(stack.is_green, 60), stack.health()
    stack.stop()


def run_supervisor(stack, **variables) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "silverquant_site.embedded"],
        cwd=ROOT, env=stack.environment | variables, text=True, capture_output=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"PORT": "eighty"}, r"PORT='eighty' must be a whole number, 1 to 65535"),
        ({"VERBOSE": "loud"}, r"VERBOSE='loud' is not a switch; .*"),
        ({"DATA_STORE_MODE": "cloud"}, r"DATA_STORE_MODE='cloud' is not a mode; .*"),
        ({"PLATFORM_ENV_FILES": "perhaps"}, r"PLATFORM_ENV_FILES='perhaps' is not a switch; .*"),
        ({"DATA_DIR": "/proc/nowhere"}, r"DATA_DIR /proc/nowhere: .*"),
    ],
)
def test_a_bad_value_is_one_line_and_starts_nothing(stack, variables, complaint):
    done = run_supervisor(stack, **variables)

    assert done.returncode == 1
    assert re.fullmatch(rf"make run: {complaint}\n", done.stderr), done.stderr
    assert not done.stdout


def test_a_busy_port_is_one_line(stack):
    with socket.create_server(("127.0.0.1", stack.port)):
        done = run_supervisor(stack)

    assert done.returncode == 1
    assert done.stderr == (
        f"make run: port {stack.port} is busy; choose another: make run PORT={stack.port + 1}\n"
    )


def test_a_damaged_store_is_one_line_and_leaves_nothing_running(stack):
    blocked = stack.data_dir / "clickhouse"
    blocked.parent.mkdir()
    blocked.write_text("a file where the directory should be")

    done = run_supervisor(stack)

    assert done.returncode == 1
    assert re.fullmatch(r"make run: clickhouse ended with status \d+: .*\n", done.stderr)
    assert wait_for(lambda: not stack.processes(), 20), stack.processes()
