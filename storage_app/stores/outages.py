"""What a host knows of its servers without asking them: since when one is down, what it is owed.

An outage is a small file below the journal, `outages/NAME.json`. Whoever notices first writes
it, whoever finds the server well again removes it, so that a process that has just begun knows
since when. All of this is best effort: the files decide nothing.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from storage_app import alerts
from storage_app.contract.errors import Unavailable
from storage_app.stores import position_conflicts
from storage_app.stores.file.documents import make_directory
from storage_app.stores.journal import PRIMARY
from storage_app.stores.journal_segments import SUFFIX, Cursor, refusing
from trades_app.market import clock

logger = logging.getLogger(__name__)

# A write on its way is no news.
OWED_SECONDS: Final = 60.0
# One late answer to a health check is no outage yet.
DOUBT_SECONDS: Final = 20.0

_directories: set[Path] = set()
# File times advance in steps: a file this young may change once more and look the same.
_SETTLING_NS: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class Outage:
    name: str
    since: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """Entries of one kind; `age` is that of the oldest, in seconds."""

    count: int
    age: float


@dataclass(frozen=True, slots=True)
class _Pending:
    """An entry that is not done: nanoseconds since 1970, and marks as in the journal."""

    kind: str
    stamp: int
    marks: tuple[bool, bool]


# What was found in segments, with the time of their last write.
_known: dict[Path, tuple[int, list[_Pending]]] = {}


def current(data_dir: Path) -> dict[str, Outage]:
    """Return the outages that this host has noted, by name of the server."""
    found = (_read(path) for path in sorted(_home(data_dir / "journal").glob("*.json")))
    return {outage.name: outage for outage in found if outage is not None}


def owed(directory: Path) -> dict[str, Owed]:
    """Return what the journal in `directory` owes to servers, by kind; opens no store."""
    counts: dict[str, Owed] = {}
    now = time.time()
    for one in _pending(directory):
        if not one.marks[PRIMARY]:
            before = counts.get(one.kind, Owed(0, 0.0))
            counts[one.kind] = Owed(before.count + 1, max(before.age, now - one.stamp / 1e9))
    return counts | {kind: Owed(count, age) for kind, (count, age) in stopped(directory).items()}


def stopped(directory: Path) -> dict[str, tuple[int, float]]:
    """Return how many codes wait for a decision, and the age of the oldest, by the kind's name."""
    found = position_conflicts.listed(directory)
    return {position_conflicts.KIND: (len(found), max(one.age for one in found))} if found else {}


def has_work(directory: Path) -> bool:
    """Tell whether an entry of the journal waits for a server or for the files."""
    return bool(_pending(directory))


def watch(directory: Path) -> None:
    """Note outages below this journal, too."""
    _directories.add(directory)


def unwatch(directory: Path) -> None:
    _directories.discard(directory)


def began(name: str, reason: str) -> None:
    """Note that a server does not answer, and tell people."""
    for directory in list(_directories):
        _note(directory, name, reason)
    _tell_outage(name, reason)


def ended(name: str) -> None:
    """Take the notes back, and tell people."""
    forgotten = [_forget(directory, name) for directory in list(_directories)]
    _tell_recovery(name, next(filter(None, forgotten), None))


def settle(directory: Path, health: Mapping[str, str]) -> None:
    """Bring the notes up to a health check: it has asked, while a note may be a dead process's."""
    home = _home(directory)
    noted = {name: note for name in health if (note := _read(home / f"{name}.json"))}
    for name, state in health.items():
        if state != "down":
            if name in noted and _forget(directory, name):
                _tell_recovery(name, noted[name])
        elif name not in noted:
            _note(directory, name, "it does not answer a health check")
        elif (clock.now() - noted[name].since).total_seconds() > DOUBT_SECONDS:
            _tell_outage(name, noted[name].reason)


def tell_owed(counts: Mapping[str, tuple[int, float]]) -> None:
    """Raise an alert for writes that are owed for long, and take it back when there are none."""
    late = {kind: one for kind, one in counts.items() if one[1] > OWED_SECONDS}
    if not late:
        alerts.recovered("owed", _("Every write has reached its server"))
        return
    lines = (f"{kind}: {count}, {age / 60:.0f} min" for kind, (count, age) in sorted(late.items()))
    alerts.send("owed", _("Writes wait for a server"), "\n".join(lines), standing=True)


def _tell_outage(name: str, reason: str) -> None:
    title = format_lazy(_("{server} is down"), server=name)
    alerts.send(f"outage {name}", title, reason, standing=True)


def _tell_recovery(name: str, outage: Outage | None) -> None:
    title = format_lazy(_("{server} is back"), server=name)
    if outage is None:
        alerts.recovered(f"outage {name}", title)
        return
    since = f"{clock.in_shanghai(outage.since):%Y-%m-%d %H:%M:%S}"
    alerts.recovered(
        f"outage {name}", title, format_lazy(_("It was down since {time}."), time=since)
    )


def _pending(directory: Path) -> list[_Pending]:
    return [one for path in directory.glob(f"*{SUFFIX}") for one in _pending_in(path)]


def _pending_in(path: Path) -> list[_Pending]:
    """Return the entries of a segment that are not done; most segments have not changed."""
    with refusing(path):
        try:
            written = path.stat().st_mtime_ns
            known = _known.get(path)
            if known is not None and known[0] == written:
                return known[1]
            frames, _damage = Cursor(path).read()
        except FileNotFoundError:
            _known.pop(path, None)
            return []
    found = [
        _Pending(str(json.loads(frame.payload)[0]), frame.stamp, frame.marks)
        for frame in frames
        if not all(frame.marks)
    ]
    if time.time_ns() - written > _SETTLING_NS:
        _known[path] = (written, found)
    return found


def _home(directory: Path) -> Path:
    return directory / "outages"


def _note(directory: Path, name: str, reason: str) -> None:
    """Write the note unless there is one: the first to notice knows since when."""
    path = _home(directory) / f"{name}.json"
    text = json.dumps({"since": clock.now().isoformat(), "reason": reason}, ensure_ascii=False)
    try:
        make_directory(path.parent)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return
    except (OSError, Unavailable) as exc:
        logger.debug("The outage of %s cannot be noted: %s", name, exc)


def _forget(directory: Path, name: str) -> Outage | None:
    """Remove and return a note; None if another process was faster or the disk refuses."""
    path = _home(directory) / f"{name}.json"
    outage = _read(path)
    try:
        path.unlink()
    except OSError as exc:
        logger.debug("The outage of %s is noted no more, or stays so: %s", name, exc)
        return None
    return outage


def _read(path: Path) -> Outage | None:
    """Return a note, None when it is gone; one that is not whole still tells its time."""
    try:
        written = path.stat().st_mtime
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        note = json.loads(text)
        return Outage(path.stem, datetime.fromisoformat(note["since"]), str(note["reason"]))
    except (ValueError, KeyError, TypeError):
        return Outage(path.stem, clock.in_shanghai(datetime.fromtimestamp(written, UTC)))
