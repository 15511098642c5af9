"""What the person at the terminal sees, and the log that has it all."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from zoneinfo import ZoneInfo

from honcho.printer import Message, Printer

from silverquant_site.embedded.programs import text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
OWN_NAME = "platform"
LOG_BYTES = 5_000_000
LOG_FILES = 3


class Console:
    """Few lines on the terminal; every line of every program in DATA_DIR/log/platform.log."""

    def __init__(self, log_directory: Path, *, is_verbose: bool) -> None:
        log_directory.mkdir(parents=True, exist_ok=True)
        self.log_path = log_directory / "platform.log"
        self._is_verbose = is_verbose
        self._printer = Printer(sys.stdout, width=len("clickhouse"))
        self._log = logging.Logger("platform")
        handler = RotatingFileHandler(
            self.log_path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
        )
        self._log.addHandler(handler)

    def say(self, line: str) -> None:
        event = Message("line", line, datetime.now(UTC), OWN_NAME, None)
        self._write_log(event)
        self._print(event)

    def pass_on(self, event: Message) -> None:
        """Log a line of a program; show it too when asked to be verbose."""
        self._write_log(event)
        if self._is_verbose:
            self._print(event)

    def show(self, events: Iterable[Message]) -> None:
        """Show lines that are in the log already."""
        if not self._is_verbose:
            for event in events:
                self._print(event)

    def announce(self, line: str) -> None:
        """Write a line as it is, for people and for scripts that wait for it."""
        with contextlib.suppress(OSError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    def _print(self, event: Message) -> None:
        # The terminal may be gone; that is no reason to stop trading.
        with contextlib.suppress(OSError):
            moment = event.time.astimezone(SHANGHAI)
            self._printer.write(Message(event.type, event.data, moment, event.name, event.colour))

    def _write_log(self, event: Message) -> None:
        time = event.time.astimezone(SHANGHAI)
        self._log.info("%s %s | %s", f"{time:%F %T}", event.name.ljust(10), text_of(event))
