"""One round: programs at work, servers and programs that fail as planned, and the verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from storage_app.contract.types import PositionState
from storage_app.stores.compose import create_data_store
from storage_app.stores.draining import drain
from tests import servers
from tests.faults import oplog, schedule, verdict
from tests.faults.proxy import Proxy
from trades_app.market import clock

START_SECONDS = 120.0
END_SECONDS = 20.0


@dataclass
class Outcome:
    seed: int
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    reads: int = 0
    flickers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self):
        verdict = "all is well" if not self.wrong else f"{len(self.wrong)} FAULTS"
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(self.acknowledged.items()))
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        slowest = ", ".join(f"{kind} {one:.2f}" for kind, one in sorted(self.slowest.items()))
        lines = [
            f"seed {self.seed}: {sum(self.acknowledged.values())} operations acknowledged, "
            f"{sum(self.refused.values())} refused or unknown, {self.reads} reads "
            f"({self.flickers} flickers), "
            f"{sum(self.faults.values())} faults: {verdict}",
            f"    acknowledged: {told}",
            f"    refused: {dict(self.refused)}",
            f"    faults: {faults}",
            f"    slowest seconds: {slowest}",
        ]
        return "\n".join(lines + [f"    {line}" for line in self.wrong[:40]])


class Program:
    """A writer or reader that is killed, frozen and started again."""

    def __init__(self, role, name, scene, scene_path, redis_port):
        self.name = name
        self._environment = {**os.environ, "REDIS_PORT": str(redis_port)}
        self._command = [sys.executable, "-m", "tests.faults.programs", role, name]
        self._scene_path, self._logs = scene_path, scene.logs
        self._run = 0
        self._frozen = False
        self.process = None

    def start(self):
        self._run += 1
        command = [*self._command, str(self._run), str(self._scene_path)]
        with (self._logs / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=servers.ROOT, env=self._environment, stdout=log, stderr=log
            )

    def is_at_work(self):
        return any(self._logs.glob(f"{self.name}.{self._run:03}.*"))

    def begin(self, kind):
        self.process.send_signal(signal.SIGSTOP if kind == "frozen" else signal.SIGKILL)

    def end(self, kind):
        if kind == "frozen":
            self.process.send_signal(signal.SIGCONT)
        else:
            self.process.wait()
            self.start()

    def stop(self, how):
        """Return whether it ended by this signal or in order."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        try:
            return self.process.wait(END_SECONDS) in (0, -how)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False


def run(scene, targets=tuple(schedule.SERVER_FAULTS)):
    """Return what became of a round; the servers are up before and after."""
    outcome = Outcome(scene.seed)
    for server in servers.SERVERS:
        server.start()
    scene.logs.mkdir(parents=True)
    prepare(scene)
    path = scene.save()
    proxy = Proxy(servers.REDIS.port)

    def program(role, name):
        port = servers.REDIS.port if scene.is_far(name) else proxy.port
        return Program(role, name, scene, path, port)

    writers = [program("writer", name) for name in scene.all_writer_names]
    readers = [program("reader", name) for name in scene.reader_names]
    faults = schedule.plan(scene, targets)
    (scene.directory / "plan.txt").write_text("\n".join(map(str, faults)) + "\n")
    try:
        start_all(writers + readers)
        outcome.wrong += suffer(scene, faults, writers, proxy)
        outcome.faults = Counter(f"{fault.target} {fault.kind}" for fault in faults)
        for program in [*writers, *readers]:
            how = signal.SIGKILL if program in writers else signal.SIGTERM
            if not program.stop(how):
                outcome.wrong.append(f"{program.name} ended by itself, see {program.name}.log")
    finally:
        for program in writers + readers:
            if program.process is not None:
                program.process.kill()
        for server in servers.SERVERS:
            server.start()
        proxy.__exit__()
    conclude(scene, outcome)
    return outcome


def prepare(scene):
    """Make the account, strategies and positions that the round begins with."""
    with clock.pinned(scene.now()):
        store = create_data_store("hybrid", {"data_dir": scene.data_dir})
        for account in [scene.account, *map(scene.own_account, scene.writer_names)]:
            store.create_account(account, f"Faults {account}", "QMT", 1)
        for place, name in enumerate(
            [scene.shared_strategy, *map(scene.strategy, scene.writer_names)]
        ):
            store.create_strategy(name, f"faults_{scene.seed}_{place}", "other", "1.0.0")
        if "positions" in scene.parts:
            held = {code: PositionState(code, 0, 10.0, 10.0, 100) for code in scene.bystanders}
            store.replace_positions(scene.book, held)
        store.close()


def start_all(programs):
    for program in programs:
        program.start()
    deadline = time.monotonic() + START_SECONDS
    while not all(program.is_at_work() for program in programs):
        if time.monotonic() > deadline:
            raise RuntimeError("the programs of the round did not start; see their logs")
        time.sleep(0.05)


def suffer(scene, faults, writers, proxy):
    """Let happen what is planned, each target in a thread of its own."""
    began = time.monotonic()
    patients = {writer.name: writer for writer in writers}
    for name, server in schedule.BY_NAME.items():
        patients[name] = schedule.ServerFaults(server, scene.directory)
    patients[schedule.NETWORK] = schedule.NetworkFaults(proxy)
    errors = []

    def go_through(target):
        try:
            for fault in (one for one in faults if one.target == target):
                wait_until(began + fault.begin)
                patients[target].begin(fault.kind)
                wait_until(began + fault.end)
                patients[target].end(fault.kind)
        except Exception as exc:  # noqa: BLE001, a thread cannot fail a test
            errors.append(f"the faults of {target} failed: {exc!r}")

    threads = [
        threading.Thread(target=go_through, args=(target,))
        for target in sorted({fault.target for fault in faults})
    ]
    for thread in threads:
        thread.start()
    wait_until(began + scene.seconds)
    for thread in threads:
        thread.join()
    return errors


def wait_until(moment):
    time.sleep(max(moment - time.monotonic(), 0.0))


def conclude(scene, outcome):
    """Bring everything to rest and compare."""
    with clock.pinned(scene.now()):
        for directory in scene.host_dirs:
            drain(directory, END_SECONDS)
        store, *others = [
            create_data_store("hybrid", {"data_dir": directory}) for directory in scene.host_dirs
        ]
        logs = oplog.OpLogs(scene.logs)
        logs.follow()
        outcome.wrong += verdict.judge(scene, store, logs)
        for opened in (store, *others):
            opened.close()
    for one in logs.operations.values():
        counts = outcome.acknowledged if one.is_done else outcome.refused
        counts[one.kind] += 1
        outcome.slowest[one.kind] = max(outcome.slowest.get(one.kind, 0.0), one.seconds)
    outcome.wrong += list(read_readers(scene, outcome))
    text = json.dumps({"wrong": outcome.wrong, "text": str(outcome)}, indent=1)
    (scene.directory / "verdict.json").write_text(text)


def read_readers(scene, outcome):
    for path in sorted(scene.logs.glob("*.reads")):
        for line in path.read_text().splitlines():
            found = json.loads(line)
            outcome.reads += found.pop("reads", 0)
            at = found.pop("at")
            outcome.flickers += found.pop("flicker", None) is not None
            for kind, text in found.items():
                yield f"{path.stem} at {at} s: {kind}: {text}"
