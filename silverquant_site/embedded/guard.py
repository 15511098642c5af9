"""The process that stops the platform, also when the supervisor can no longer do it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

SCRIPT = Path(__file__).with_name("guard.sh")
SECONDS_TO_END = 10


class Guard:
    """A small shell that holds the lock of DATA_DIR and the list of what runs.

    One way of stopping serves all cases: the pipe to the shell ends, whether the supervisor
    closed it or was killed. Because the shell inherits the lock, a new run waits until the last
    server of a killed one has let go of its files.
    """

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._groups = ""
        self._is_stopping = False
        self._shell = self._start()

    def watch(self, applications: Iterable[int], servers: Iterable[int]) -> None:
        """Tell the process groups that run; the servers are stopped after the applications."""
        self._groups = " / ".join(" ".join(map(str, part)) for part in (applications, servers))
        if not self._is_stopping:
            self._send()

    def keep_alive(self) -> None:
        if self._shell.poll() is not None:
            self._shell = self._start()
            self._send()

    def stop_all(self) -> None:
        """Begin to stop everything: SIGTERM, and SIGKILL for what is still there after 10 s."""
        self.keep_alive()
        self._pipe.close()
        self._is_stopping = True

    @property
    def is_done(self) -> bool:
        return self._shell.poll() is not None

    def _start(self) -> subprocess.Popen[str]:
        shell = subprocess.Popen(  # noqa: S603
            ["/bin/sh", str(SCRIPT), str(SECONDS_TO_END)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        if shell.stdin is None:
            raise RuntimeError("the guard has no pipe")
        self._pipe = shell.stdin
        return shell

    def _send(self) -> None:
        try:
            self._pipe.write(f"{self._groups}\n")
            self._pipe.flush()
        except BrokenPipeError:
            self.keep_alive()
