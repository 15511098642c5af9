"""Which of SilverQuant's files a directory holds, in the layouts of all its versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from storage_app.legacy.holdings import HOLDING_NAMES, MAX_PRICE_NAMES, MIN_PRICE_NAMES
from storage_app.legacy.text import LegacyFileError

MAIN_BOOK = "prod_pwc"
CALENDAR_NAME = "_open_day_list_sina.csv"
ORDERS_NAME = "deal_hist.csv"
ASSETS_NAME = "assets.csv"
_BOOK_FILES = (*HOLDING_NAMES, *MAX_PRICE_NAMES, *MIN_PRICE_NAMES, ORDERS_NAME, ASSETS_NAME)
_CALENDAR_PLACES = (Path(CALENDAR_NAME), Path("_api_akshare") / CALENDAR_NAME)
_BARS = "_daily_"
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,50}")


@dataclass(frozen=True, slots=True)
class BookFolder:
    """What one strategy wrote; `namespace` is empty for the main book of the account."""

    path: Path
    namespace: str

    def first(self, names: tuple[str, ...]) -> Path | None:
        """Return the first of the names that exists here."""
        return next((self.path / name for name in names if (self.path / name).is_file()), None)

    @property
    def holdings(self) -> Path | None:
        return self.first(HOLDING_NAMES)

    @property
    def max_prices(self) -> Path | None:
        return self.first(MAX_PRICE_NAMES)

    @property
    def min_prices(self) -> Path | None:
        return self.first(MIN_PRICE_NAMES)

    @property
    def orders(self) -> Path | None:
        return self.first((ORDERS_NAME,))

    @property
    def assets(self) -> Path | None:
        return self.first((ASSETS_NAME,))

    @property
    def files(self) -> list[Path]:
        found = (self.holdings, self.max_prices, self.min_prices, self.orders, self.assets)
        return [path for path in found if path]


@dataclass(frozen=True, slots=True)
class BarFolder:
    """Daily bars, a file per code, as one source delivered them."""

    source: str
    files: list[Path]


@dataclass(frozen=True, slots=True)
class LegacyDirectory:
    """What can be imported, the folders that cannot, and the names that nobody reads."""

    root: Path
    books: list[BookFolder]
    calendars: list[Path]
    bars: list[BarFolder]
    refused: list[LegacyFileError]
    unused: list[str]


def explore(path: Path) -> LegacyDirectory:
    """Find what can be imported in a `_cache` directory, its parent or a strategy's folder.

    LegacyFileError when the directory cannot be read or holds nothing known.
    """
    root = path / "_cache" if (path / "_cache").is_dir() else path
    entries = _list(root)
    folders = [entry for entry in entries if entry.is_dir()]
    books, refused = _find_books(root, folders)
    bars = [_bar_folder(folder) for folder in folders if folder.name.startswith(_BARS)]
    calendars = [root / place for place in _CALENDAR_PLACES if (root / place).is_file()]
    if not (books or refused or calendars or any(folder.files for folder in bars)):
        raise LegacyFileError(path, 0, "", "", "no file of SilverQuant in this directory")
    used = {path for book in books for path in book.files} | set(calendars)
    used |= {folder.path for folder in books} | {root / f"{_BARS}{bar.source}" for bar in bars}
    read = {path.parent for path in calendars} | used
    candidates = [*entries, *(entry for book in books for entry in _list(book.path))]
    unused = sorted({str(entry.relative_to(root)) for entry in candidates if entry not in read})
    return LegacyDirectory(root, books, calendars, bars, refused, unused)


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as exc:
        reason = f"the directory cannot be read: {exc.strerror}"
        raise LegacyFileError(folder, 0, "", "", reason) from exc


def _find_books(root: Path, folders: list[Path]) -> tuple[list[BookFolder], list[LegacyFileError]]:
    books: list[BookFolder] = []
    refused: list[LegacyFileError] = []
    for folder in [root, *folders]:
        if not any((folder / name).is_file() for name in _BOOK_FILES):
            continue
        is_main = folder.name == MAIN_BOOK or (folder == root and not folder.name.endswith("_pwc"))
        namespace = "" if is_main else folder.name.removesuffix("_pwc")
        if is_main or _NAMESPACE.fullmatch(namespace):
            books.append(BookFolder(folder, namespace))
        else:
            reason = "the name of a book's folder may hold letters, digits, '-' and '_' only"
            refused.append(LegacyFileError(folder, 0, "", namespace, reason))
    return books, refused


def _bar_folder(folder: Path) -> BarFolder:
    files = [
        path
        for place in (folder, folder / "kline")
        for path in sorted(place.glob("*.csv"))
        if not path.name.startswith("_")
    ]
    return BarFolder(folder.name.removeprefix(_BARS), files)
