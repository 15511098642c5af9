"""One program of the platform: started, watched and started again."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from honcho.printer import Message
from honcho.process import Process

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
# A program that ran this long was sound; its next failure starts with a short pause again.
SOUND_AFTER = 60.0

Events = queue.SimpleQueue[Message]


@dataclass
class Program:
    """`command` is a line of the Procfile, run by the shell in a process group of its own."""

    name: str
    command: str
    environment: dict[str, str]
    events: Events
    pid: int | None = None
    returncode: int | None = None
    # The last lines; many enough for all that a short program says.
    output: deque[Message] = field(default_factory=lambda: deque(maxlen=100))
    _pause: float = FIRST_PAUSE
    _started: float = 0.0
    _restart_at: float | None = None

    @property
    def epitaph(self) -> str:
        """Say in one line how the program ended; what it said last is worth it after an error."""
        if self.returncode is not None and self.returncode < 0:
            return f"{self.name} was ended by {signal.Signals(-self.returncode).name}"
        lines = (text_of(event).strip() for event in reversed(self.output))
        said = next(filter(None, lines), "it said nothing")
        return f"{self.name} ended with status {self.returncode}: {said}"

    def start(self) -> None:
        self.pid = self.returncode = self._restart_at = None
        self._started = time.monotonic()
        process = Process(self.command, name=self.name, env=self.environment)
        threading.Thread(target=process.run, args=(self.events,), daemon=True).start()

    def note(self, event: Message) -> None:
        """Take in what the program's thread reports: its pid, a line of output, its end."""
        if event.type == "start":
            self.pid = event.data["pid"]
        elif event.type == "stop":
            self.returncode = event.data["returncode"]
        else:
            self.output.append(event)

    def plan_restart(self) -> float:
        """Return the seconds until the restart: 1 at first, doubled up to 30."""
        now = time.monotonic()
        if now - self._started > SOUND_AFTER:
            self._pause = FIRST_PAUSE
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        self._restart_at = now + pause
        return pause

    def restart_if_due(self) -> None:
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self.start()


def text_of(event: Message) -> str:
    data = event.data
    line = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
    return line.rstrip()
