"""What strategies did with their JSON files: read it all, change a value, write it all.

Nothing is locked, synced or replaced in one step, and each directory is one strategy's. With
`write=replace` the same is done without the danger of a cut file, still without a lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

HELD = "positions.json"
HIGHEST = "max_price.json"
LOWEST = "min_price.json"


def read(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as stream:
        document: dict[str, Any] = json.load(stream)
    return document


Write = Callable[[Path, dict[str, Any]], None]


def rewrite(path: Path, document: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=4)


def replace(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=4)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def read_held_days(directory: Path, code: str) -> int | None:
    entry = read(directory / HELD).get(code)
    return None if entry is None else entry["day_count"]


def read_book(directory: Path) -> list[dict[str, Any]]:
    """Return what a sell scan reads each second."""
    return [read(directory / name) for name in (HELD, HIGHEST, LOWEST)]


def raise_extremes(
    directory: Path, prices: dict[str, tuple[float, float]], write: Write = rewrite
) -> None:
    """Widen the extremes of held codes; a file is written only if one of its prices moved."""
    held, highest, lowest = read_book(directory)
    higher = {code: tick[0] for code, tick in prices.items() if tick[0] > highest.get(code, 0)}
    lower = {code: tick[1] for code, tick in prices.items() if tick[1] < lowest.get(code, 1e9)}
    for name, document, moved in ((HIGHEST, highest, higher), (LOWEST, lowest, lower)):
        moved = {code: round(price, 3) for code, price in moved.items() if code in held}
        if moved:
            write(directory / name, document | moved)


def increment(directory: Path, today: date, write: Write = rewrite) -> bool:
    path = directory / HELD
    held = read(path)
    if held.get("_inc_date") == today.isoformat():
        return False
    for code, entry in held.items():
        if code != "_inc_date" and entry["day_count"] is not None:
            entry["day_count"] += 1
    write(path, held | {"_inc_date": today.isoformat()})
    return True


def buy(directory: Path, code: str, write: Write = rewrite) -> None:
    """Note a bought code at day 0 and forget its old extremes."""
    held, highest, lowest = read_book(directory)
    held[code] = {"day_count": 0}
    highest.pop(code, None)
    lowest.pop(code, None)
    for name, document in ((HELD, held), (HIGHEST, highest), (LOWEST, lowest)):
        write(directory / name, document)
