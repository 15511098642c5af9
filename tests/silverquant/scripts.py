"""A strategy's directory and module `tools.utils_cache`, as a script of SilverQuant finds them."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@dataclass(frozen=True)
class Held:
    """What the broker's client says of a position, as far as these functions look."""

    stock_code: str
    can_use_volume: int = 100


class Paths:
    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.held = str(directory / "positions.json")
        self.max = str(directory / "max_price.json")
        self.min = str(directory / "min_price.json")
        self.deals = str(directory / "deal_hist.csv")


def load_tools():
    """Import `tools.utils_cache` anew, through whatever finders are there."""
    forget_tools()
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module("tools.utils_cache")
    finally:
        sys.path.remove(str(EXAMPLES))


def forget_tools():
    for name in ("tools.utils_cache", "tools"):
        sys.modules.pop(name, None)
