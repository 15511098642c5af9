"""Starts the programs in order, starts again what dies, stops them in reverse order."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable
from types import FrameType

from honcho.environ import parse_procfile

from silverquant_site import env
from silverquant_site.embedded import health
from silverquant_site.embedded.console import Console
from silverquant_site.embedded.errors import StartFailed, StopRequested
from silverquant_site.embedded.guard import Guard
from silverquant_site.embedded.programs import Events, Program
from silverquant_site.embedded.setup import LOCAL, Setup

PROCFILE = env.BASE_DIR / "Procfile"
PREPARE = "exec python manage.py prepare_platform"
SERVERS = ("valkey", "clickhouse")
APPLICATIONS = ("worker", "beat", "web")
TICK = 0.1
SECONDS_FOR_SERVERS = 120.0
SECONDS_FOR_PREPARING = 900.0
SECONDS_FOR_HEALTH = 90.0


class Supervisor:
    """`parent` is the process whose end also ends the platform; None: nobody's."""

    def __init__(self, setup: Setup, console: Console, guard: Guard, parent: int | None) -> None:
        self._setup = setup
        self._console = console
        self._guard = guard
        self._parent = parent
        self._commands = parse_procfile(PROCFILE.read_text()).processes
        self._events: Events = queue.SimpleQueue()
        self._programs: dict[str, Program] = {}
        self._is_up = False
        self._stop_reason = ""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def run(self) -> None:
        """Run until asked to stop; raise StartFailed when the platform cannot come up."""
        try:
            self._start_servers_and_prepare()
            self._start_applications()
            self._is_up = True
            self._console.announce(self._ready_line())
            while True:
                self._tick()
        except StopRequested:
            self._console.say(f"{self._stop_reason}; stopping")
        finally:
            self._stop()

    def _start_servers_and_prepare(self) -> None:
        """Start Valkey and ClickHouse, and beside them one Django process that sets all up."""
        ports = self._server_ports()
        self._console.say(f"starting {', '.join((*ports, *APPLICATIONS))}")
        for name in ports:
            self._start(name, self._commands[name])
        program = self._start("prepare", PREPARE)
        self._wait(
            lambda: all(health.answers(port) for port in ports.values()),
            SECONDS_FOR_SERVERS,
            lambda: f"{' and '.join(ports)} did not answer",
        )
        self._wait(
            lambda: program.returncode == 0,
            SECONDS_FOR_PREPARING,
            lambda: "setting the databases up took too long",
        )
        # Only what went well: a failure is one line, and the log has the rest.
        self._console.show(program.output)
        del self._programs["prepare"]

    def _server_ports(self) -> dict[str, int]:
        """Return the ports of the servers that are ours to start."""
        ports = {}
        if self._setup.has_valkey:
            ports["valkey"] = int(self._setup.variables["REDIS_PORT"])
        if self._setup.has_clickhouse:
            ports["clickhouse"] = int(self._setup.variables["CLICKHOUSE_PORT"])
        return ports

    def _start_applications(self) -> None:
        for name in APPLICATIONS:
            self._start(name, self._commands[name])
        red: list[str] | None = None

        def is_green() -> bool:
            nonlocal red
            red = health.red_checks(self._setup.port)
            return red == []

        self._wait(
            is_green,
            SECONDS_FOR_HEALTH,
            lambda: "not healthy: " + ("no answer" if red is None else ", ".join(red)),
        )

    def _start(self, name: str, command: str) -> Program:
        program = Program(name, command, self._setup.environment, self._events)
        self._programs[name] = program
        program.start()
        return program

    def _ready_line(self) -> str:
        kept = self._setup.data_dir / "admin_password"
        password = f" {kept.read_text().strip()}" if kept.exists() else ""
        return f"Ready: http://{LOCAL}:{self._setup.port}/ admin{password}"

    def _wait(
        self, is_done: Callable[[], bool], seconds: float, complaint: Callable[[], str]
    ) -> None:
        deadline = time.monotonic() + seconds
        while not is_done():
            self._tick()
            if time.monotonic() > deadline:
                raise StartFailed(f"{complaint()} (after {seconds:.0f} s)")

    def _tick(self) -> None:
        self._take_events(TICK)
        self._guard.keep_alive()
        if self._parent is not None and os.getppid() != self._parent:
            self._stop_reason = "make is gone"
        if self._stop_reason:
            raise StopRequested
        for program in self._programs.values():
            program.restart_if_due()

    def _take_events(self, timeout: float) -> None:
        """Wait for the first event, then take all that are there."""
        try:
            event = self._events.get(timeout=timeout)
            while True:
                program = self._programs.get(event.name)
                if program is not None:
                    program.note(event)
                    self._react(program, event.type)
                if event.type == "line":
                    self._console.pass_on(event)
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _react(self, program: Program, event_type: str) -> None:
        if event_type == "line":
            return
        self._guard.watch(self._groups(is_server=False), self._groups(is_server=True))
        if event_type == "stop" and not self._stop_reason:
            self._react_to_end(program)

    def _react_to_end(self, program: Program) -> None:
        if program.name == "prepare" and program.returncode == 0:
            return
        if not self._is_up:
            raise StartFailed(program.epitaph)
        pause = program.plan_restart()
        self._console.say(f"{program.epitaph}; starting it again in {pause:.0f} s")

    def _groups(self, *, is_server: bool) -> list[int]:
        return [
            program.pid
            for name, program in self._programs.items()
            if program.pid is not None
            and program.returncode is None
            and (name in SERVERS) is is_server
        ]

    def _stop(self) -> None:
        self._stop_reason = self._stop_reason or "the start failed"
        self._guard.stop_all()
        while not self._guard.is_done:
            self._take_events(TICK)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop_reason = f"{signal.Signals(number).name} received"
