"""A seeded plan of what goes wrong when; the same seed gives the same plan."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass

from tests import servers

# The programs have to come up first, and what was begun has to end.
QUIET_SECONDS = 3.0


@dataclass(frozen=True)
class Fault:
    """From `begin` to `end`, in seconds of the round."""

    begin: float
    end: float
    target: str
    kind: str

    def __str__(self):
        return f"{self.begin:6.2f} {self.target} {self.kind} for {self.end - self.begin:.2f} s"


# For each target its faults: weight, shortest and longest time.
SERVER_FAULTS = {
    "redis": {
        "killed": (4, 0.2, 4.0),
        "frozen": (3, 0.1, 3.0),
        "emptied": (1, 0.0, 0.0),
        "aged": (2, 0.1, 2.0),
        "wiped": (1, 0.1, 2.0),
    },
    "clickhouse": {"killed": (3, 0.2, 5.0), "frozen": (2, 0.1, 4.0)},
    "mariadb": {"killed": (3, 0.2, 4.0), "frozen": (2, 0.1, 5.0)},
}
WRITER_FAULTS = {"killed": (4, 0.0, 0.5), "frozen": (1, 0.1, 1.0)}
# Between the first host and Redis, which the far one reaches all the time.
NETWORK = "network"
NETWORK_FAULTS = {"refusing": (2, 0.2, 4.0), "swallowing": (1, 0.2, 2.0), "slow": (1, 0.2, 2.0)}
PAUSES = {"server": (0.5, 5.0), "writer": (0.5, 6.0)}


def plan(scene, targets=tuple(SERVER_FAULTS)):
    """Return the faults of a round, each target's one after the other."""
    faults = []
    for target in targets:
        faults += _timeline(scene, target, SERVER_FAULTS[target], PAUSES["server"])
    if scene.has_far_host and "redis" in targets:
        faults += _timeline(scene, NETWORK, NETWORK_FAULTS, PAUSES["server"])
    for writer in scene.all_writer_names:
        faults += _timeline(scene, writer, WRITER_FAULTS, PAUSES["writer"])
    return sorted(faults, key=lambda fault: fault.begin)


def _timeline(scene, target, kinds, pauses):
    chance = scene.chance("faults", target)
    weights = [weight for weight, _, _ in kinds.values()]
    at = QUIET_SECONDS + chance.uniform(*pauses)
    while True:
        (kind,) = chance.choices(list(kinds), weights)
        end = at + chance.uniform(*kinds[kind][1:])
        if end > scene.seconds:
            return
        yield Fault(at, end, target, kind)
        at = end + chance.uniform(*pauses)


class ServerFaults:
    """Do to a server what the plan says."""

    def __init__(self, server, directory):
        self.server = server
        self.old = directory / f"old-{server.name}"

    def begin(self, kind):
        if kind == "frozen":
            self.server.freeze()
        elif kind == "emptied":
            _flush(self.server)
        else:
            self.server.kill()
            if kind == "killed" and self.server.name == "redis":
                self.remember()

    def end(self, kind):
        if kind == "frozen":
            self.server.thaw()
            return
        if kind == "wiped":
            shutil.rmtree(self._log)
        elif kind == "aged" and self.old.exists():
            shutil.rmtree(self._log)
            shutil.copytree(self.old, self._log)
        if kind != "emptied":
            self.server.start()

    def remember(self):
        """Keep a copy that the server may come back with later."""
        shutil.rmtree(self.old, ignore_errors=True)
        shutil.copytree(self._log, self.old)

    @property
    def _log(self):
        return self.server.directory / "appendonlydir"


class NetworkFaults:
    """Do the same to the way to a server."""

    def __init__(self, proxy):
        self.proxy = proxy

    def begin(self, kind):
        if kind == "refusing":
            self.proxy.refuse()
        elif kind == "swallowing":
            self.proxy.swallow()
        else:
            self.proxy.delay(0.1)

    def end(self, kind):
        self.proxy.restore()


def _flush(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"FLUSHALL\r\n")
        client.recv(64)


BY_NAME = {server.name: server for server in servers.SERVERS}
