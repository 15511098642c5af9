"""The independent record of what programs were about to do, and what they were told.

Each program appends to a file of its own, one JSON line before a call and one after it, written
unbuffered, so that a kill -9 leaves at most a call whose outcome nobody knows.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# What became of a call. Who is refused, or killed, does not know whether it had an effect.
UNKNOWN = "unknown"
DONE = "done"
REFUSED = "refused"
BROKEN = "broken"


@dataclass
class Operation:
    writer: str
    number: int
    kind: str
    arguments: dict[str, Any]
    outcome: str = UNKNOWN
    answer: Any = None
    seconds: float = 0.0
    # Operations of this kind that its writer had begun when it was told.
    begun: int = 0

    @property
    def is_done(self):
        return self.outcome == DONE


class OpLog:
    """The end of a log to which one program appends."""

    def __init__(self, directory, writer, run):
        self.writer = writer
        path = directory / f"{writer}.{run:03}.ops"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def intend(self, number, kind, arguments):
        self._write({"n": number, "kind": kind, "arguments": arguments})
        return Operation(self.writer, number, kind, arguments)

    def tell(self, operation, outcome, answer, started):
        operation.outcome, operation.answer = outcome, answer
        seconds = round(time.perf_counter() - started, 6)
        self._write({"n": operation.number, outcome: answer, "seconds": seconds})

    def _write(self, line):
        os.write(self._file, json.dumps(line).encode() + b"\n")


@dataclass
class OpLogs:
    """All logs of a directory; `follow` reads on where it stopped."""

    directory: Any
    operations: dict[tuple[str, int], Operation] = field(default_factory=dict)
    _read: dict[Any, int] = field(default_factory=dict)
    _begun: Counter[tuple[str, str]] = field(default_factory=Counter)

    def follow(self):
        """Return the operations about which something new is known."""
        changed = {}
        for path in sorted(self.directory.glob("*.ops")):
            with path.open("rb") as stream:
                stream.seek(self._read.get(path, 0))
                whole, _, _ = stream.read().rpartition(b"\n")
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
                for line in whole.split(b"\n"):
                    one = self._note(path.name.split(".")[0], json.loads(line))
                    changed[one.writer, one.number] = one
        return list(changed.values())

    def of(self, kind, writer=None):
        return [
            one
            for one in self.operations.values()
            if one.kind == kind and writer in (None, one.writer)
        ]

    def _note(self, writer, line):
        key = (writer, line["n"])
        if "kind" in line:
            # Repeated after a restart, or with the same arguments after a refusal.
            known = self.operations.get(key)
            if known is None:
                known = Operation(writer, line["n"], line["kind"], line["arguments"])
                self.operations[key] = known
                self._begun[writer, known.kind] += 1
            return known
        operation = self.operations[key]
        (operation.outcome,) = {DONE, REFUSED, BROKEN} & line.keys()
        operation.answer = line[operation.outcome]
        operation.begun = self._begun[writer, operation.kind]
        operation.seconds = max(operation.seconds, line["seconds"])
        return operation
