"""Which of SilverQuant's files a directory holds, in the layouts of all its versions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from storage_app.legacy.holdings import HOLDING_NAMES, MAX_PRICE_NAMES, MIN_PRICE_NAMES
from storage_app.legacy.text import LegacyFileError

MAIN_BOOK = "prod_pwc"
CALENDAR_NAME = "_open_day_list_sina.csv"
# What strategies append to, and what a store that some of them use writes beside it. All of
# them are read, since a row that stands in two files has one identity.
ORDER_NAMES = ("deal_hist.csv", "trades.csv", "trade_records.csv")
ASSETS_NAME = "assets.csv"
_BOOK_FILES = (*HOLDING_NAMES, *MAX_PRICE_NAMES, *MIN_PRICE_NAMES, *ORDER_NAMES, ASSETS_NAME)
# Accounts and strategies have commands of their own, since they need more than a directory.
_CALENDAR_PLACES = (Path(CALENDAR_NAME), Path("_api_akshare") / CALENDAR_NAME)
_BARS = "_daily_"
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,50}")


class Part(StrEnum):
    """What can be imported by itself."""

    CALENDAR = "calendar"
    POSITIONS = "positions"
    TRADES = "trades"
    ASSETS = "assets"
    KLINES = "klines"


@dataclass(frozen=True, slots=True)
class BookFolder:
    """What one strategy wrote; `namespace` is empty for the main book of the account."""

    path: Path
    namespace: str
    holdings: Path | None = None
    max_prices: Path | None = None
    min_prices: Path | None = None
    orders: tuple[Path, ...] = ()
    assets: Path | None = None

    @property
    def files(self) -> list[Path]:
        found = (self.holdings, self.max_prices, self.min_prices, *self.orders, self.assets)
        return [path for path in found if path]

    def only(self, parts: Collection[Part]) -> BookFolder:
        """Return the folder with the files of these parts."""
        kept = self
        if Part.POSITIONS not in parts:
            kept = replace(kept, holdings=None, max_prices=None, min_prices=None)
        if Part.TRADES not in parts:
            kept = replace(kept, orders=())
        if Part.ASSETS not in parts:
            kept = replace(kept, assets=None)
        return kept


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

    @property
    def count(self) -> int:
        """The number of files, each of which will have a result."""
        books = sum(len(book.files) for book in self.books)
        bars = sum(len(folder.files) for folder in self.bars)
        return len(self.refused) + len(self.calendars) + books + bars

    @property
    def layout_root(self) -> Path:
        """The folder to which names are relative, so that a copy keeps its books apart."""
        own = any(book.path == self.root and book.namespace for book in self.books)
        return self.root.parent if own else self.root

    def only(self, parts: Collection[Part]) -> LegacyDirectory:
        """Return the directory with the files of these parts; LegacyFileError if it has none."""
        books = [book.only(parts) for book in self.books]
        kept = replace(
            self,
            books=[book for book in books if book.files],
            calendars=self.calendars if Part.CALENDAR in parts else [],
            bars=self.bars if Part.KLINES in parts else [],
            refused=self.refused if books else [],
            unused=[] if set(parts) != set(Part) else self.unused,
        )
        if not kept.count:
            names = ", ".join(sorted(parts))
            raise LegacyFileError(self.root, 0, "", "", f"there are no files of {names} here")
        return kept


def explore(path: Path) -> LegacyDirectory:
    """Find what can be imported in a `_cache` directory, its parent or a strategy's folder.

    A folder of bars, `_daily_akshare` say, can be given by itself. LegacyFileError when the
    directory cannot be read or holds nothing known.
    """
    if path.name.startswith(_BARS) and path.is_dir():
        root = path.parent
        return LegacyDirectory(root, [], [], _filled([_bar_folder(path)], path), [], [])
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


def single(path: Path, part: Part) -> LegacyDirectory:
    """Return one file of a part, whatever its name; its folder tells the book it belongs to."""
    path = path.absolute()
    root = path.parent.parent
    if part is Part.KLINES:
        folder = path.parent.parent if path.parent.name == "kline" else path.parent
        bars = BarFolder(folder.name.removeprefix(_BARS), [path])
        return LegacyDirectory(root, [], [], [bars], [], [])
    if part is Part.CALENDAR:
        return LegacyDirectory(root, [], [path], [], [], [])
    book = BookFolder(path.parent, "" if _is_main(path.parent) else _namespace(path.parent))
    if part is Part.TRADES:
        book = replace(book, orders=(path,))
    elif part is Part.ASSETS:
        book = replace(book, assets=path)
    elif path.name in MAX_PRICE_NAMES:
        book = replace(book, max_prices=path)
    elif path.name in MIN_PRICE_NAMES:
        book = replace(book, min_prices=path)
    else:
        book = replace(book, holdings=path)
    return LegacyDirectory(root, [book], [], [], [], [])


def _is_main(folder: Path) -> bool:
    """Tell whether a folder that is looked at by itself is the main book of an account."""
    is_own = folder.name.endswith("_pwc") or folder.parent.name == "_cache"
    return not is_own or not _NAMESPACE.fullmatch(_namespace(folder))


def _filled(folders: list[BarFolder], path: Path) -> list[BarFolder]:
    if not any(folder.files for folder in folders):
        raise LegacyFileError(path, 0, "", "", "no file of bars in this directory")
    return folders


def _namespace(folder: Path) -> str:
    return "" if folder.name == MAIN_BOOK else folder.name.removesuffix("_pwc")


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
        namespace = "" if folder == root and _is_main(folder) else _namespace(folder)
        if not namespace or _NAMESPACE.fullmatch(namespace):
            books.append(_book_folder(folder, namespace))
        else:
            reason = "the name of a book's folder may hold letters, digits, '-' and '_' only"
            refused.append(LegacyFileError(folder, 0, "", namespace, reason))
    return books, refused


def _book_folder(folder: Path, namespace: str) -> BookFolder:
    return BookFolder(
        folder,
        namespace,
        holdings=_first(folder, HOLDING_NAMES),
        max_prices=_first(folder, MAX_PRICE_NAMES),
        min_prices=_first(folder, MIN_PRICE_NAMES),
        orders=tuple(folder / name for name in ORDER_NAMES if (folder / name).is_file()),
        assets=_first(folder, [ASSETS_NAME]),
    )


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of the names that exists in the folder."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _bar_folder(folder: Path) -> BarFolder:
    files = [
        path
        for place in (folder, folder / "kline")
        for path in sorted(place.glob("*.csv"))
        if not path.name.startswith("_")
    ]
    return BarFolder(folder.name.removeprefix(_BARS), files)
