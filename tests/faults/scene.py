"""What the programs of one round share: names, places and a clock on which days fly by."""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

from trades_app.market import calendar, clock

FIRST_DAY = date(2016, 1, 4)
LAST_DAY = date(2025, 12, 31)
OPENING = time_of_day(9, 30)
SESSION_SECONDS = 5.5 * 3600
PARTS = ("trades", "positions", "params", "capital")


@dataclass(frozen=True)
class Scene:
    """One round; `parts` are the roles that its programs work on.

    The programs of the far host work on positions alone, over a DATA_DIR of their own.
    """

    directory: Path
    seed: int
    seconds: float = 20.0
    writers: int = 2
    readers: int = 1
    far_writers: int = 1
    far_readers: int = 1
    # What is older than seven trading days may be forgotten, so no outage may last so long, also
    # not on a busy machine.
    day_seconds: float = 4.0
    parts: tuple[str, ...] = PARTS
    databases: dict[str, str] = field(default_factory=dict)
    origin: float = field(default_factory=time.time)

    @property
    def data_dir(self):
        return self.directory / "data"

    @property
    def far_dir(self):
        return self.directory / "far"

    @property
    def host_dirs(self):
        return [self.data_dir, self.far_dir] if self.has_far_host else [self.data_dir]

    @property
    def has_far_host(self):
        return "positions" in self.parts and self.far_writers + self.far_readers > 0

    def is_far(self, program):
        count = self.readers if program[0] == "r" else self.writers
        return int(program[1:]) >= count

    def parts_of(self, program):
        return ("positions",) if self.is_far(program) else self.parts

    @property
    def logs(self):
        return self.directory / "ops"

    @property
    def account(self):
        return f"55{self.seed % 1_000_000:06}"

    @property
    def book(self):
        return f"{self.account}/faults"

    @property
    def shared_strategy(self):
        return f"Shared {self.seed}"

    @property
    def writer_names(self):
        return [f"w{number}" for number in range(self.writers)]

    @property
    def far_writer_names(self):
        count = self.far_writers if self.has_far_host else 0
        return [f"w{number}" for number in range(self.writers, self.writers + count)]

    @property
    def all_writer_names(self):
        return self.writer_names + self.far_writer_names

    @property
    def reader_names(self):
        count = self.readers + (self.far_readers if self.has_far_host else 0)
        return [f"r{number}" for number in range(count)]

    def strategy(self, writer):
        return f"Strategy {self.seed} {writer}"

    def own_account(self, writer):
        return f"{self.account}{writer[1:]}"

    def growing_code(self, writer):
        """Return the code that the writer only buys."""
        return f"6000{int(writer[1:]):02}.SH"

    def turning_code(self, writer):
        """Return the code that the writer buys and sells in turn."""
        return f"0000{int(writer[1:]) + 1:02}.SZ"

    @property
    def bystanders(self):
        """Codes that are held all the time and only move with the ticks."""
        return [f"3000{number:02}.SZ" for number in range(20)]

    def chance(self, *of):
        return random.Random(f"{self.seed} {' '.join(map(str, of))}")

    def now(self):
        """Return the moment on the clock of the round, on which only trading days exist."""
        elapsed = max(time.time() - self.origin, 0.0) / self.day_seconds
        day = _days()[int(elapsed)]
        moment = datetime.combine(day, OPENING, clock.SHANGHAI)
        return moment + timedelta(seconds=elapsed % 1 * SESSION_SECONDS)

    def pin(self):
        """Hold the clock of this process at the present moment of the round, for its threads too.

        There is no moment in between at which a thread could see the clock of the machine.
        """
        clock._pinned = self.now()

    def save(self):
        values = {**asdict(self), "directory": str(self.directory)}
        path = self.directory / "scene.json"
        path.write_text(json.dumps(values, indent=1))
        return path


def load(path):
    values = json.loads(Path(path).read_text())
    values["directory"], values["parts"] = Path(values["directory"]), tuple(values["parts"])
    return Scene(**values)


def open_store(scene, program):
    """Open a store in hybrid mode on the databases of the round, as a script does."""
    scene.pin()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    from django.conf import settings

    for alias, name in scene.databases.items():
        settings.DATABASES[alias]["NAME"] = name
    from storage_app import create_data_store

    here = scene.far_dir if scene.is_far(program) else scene.data_dir
    return create_data_store("hybrid", {"data_dir": here})


_known_days: list[date] = []


def _days():
    if not _known_days:
        _known_days.extend(calendar.trading_days(FIRST_DAY, LAST_DAY))
    return _known_days
