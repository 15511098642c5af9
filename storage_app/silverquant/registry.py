"""Which file of a strategy stands for which book of the platform, and on which store.

    bind(PATH_HELD, "55009728")             the file and its known neighbours are the account's
    bind(PATH_HELD, "55009728", "swing")    a namespace of it, as several strategies share one
    bind("held.txt", "55009728", kind="held")

Paths that nobody bound stay files.
"""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from storage_app import create_data_store
from storage_app.contract.arguments import parse_book, parse_choice
from storage_app.contract.errors import InvalidInput

if TYPE_CHECKING:
    from storage_app.contract.roles import DataStore


class Kind(StrEnum):
    HELD = "held"
    HIGHEST = "max"
    LOWEST = "min"
    DEALS = "deals"


class Form(StrEnum):
    """How a holding is written: `{"day_count": 3}`, or the bare 3 of older scripts."""

    STRUCTURED = "structured"
    FLAT = "flat"


NAMES: Final = {
    "positions.json": Kind.HELD,
    "held_days.json": Kind.HELD,
    "max_price.json": Kind.HIGHEST,
    "max_prices.json": Kind.HIGHEST,
    "min_price.json": Kind.LOWEST,
    "min_prices.json": Kind.LOWEST,
    "deal_hist.csv": Kind.DEALS,
}
_FLAT_NAMES: Final = frozenset({"held_days.json"})


@dataclass(frozen=True)
class Binding:
    path: Path
    book: str
    kind: Kind
    form: Form = Form.STRUCTURED
    strategy_name: str = ""

    @property
    def account(self) -> str:
        return self.book.partition("/")[0]

    @functools.cached_property
    def extra_path(self) -> str:
        """Where keys stand that the platform does not know."""
        return str(self.path.with_suffix(".extra.json"))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory whose known names belong to a book; `deep` makes its folders namespaces."""

    account: str
    namespace: str
    form: Form | None
    strategy_name: str
    deep: bool = False


_files: dict[str, Binding] = {}
_folders: dict[str, _Folder] = {}
# Books of the store whose files were looked at, see `legacy_state`.
adopted: set[str] = set()
_opening = threading.Lock()
_store: DataStore | None = None


def bind(
    path: str | os.PathLike[str],
    account: str,
    namespace: str = "",
    *,
    kind: str | None = None,
    form: str | None = None,
    strategy_name: str = "",
) -> None:
    """Have a file, or a directory, of a strategy stand for a book of the platform.

    A file with a known name brings its neighbours of known names along; `kind` (held, max, min,
    deals) binds a file of any name alone. `form` is structured or flat; by default the name of
    the file tells. `strategy_name` is written into rows of the ledger.
    """
    book = _book(account, namespace)
    chosen = None if form is None else parse_choice(Form)(form)
    place = Path(_absolute(path))
    if kind is not None:
        wanted = parse_choice(Kind)(kind)
        held_form = chosen or _form_of(place)
        _files[str(place)] = Binding(place, book, wanted, held_form, strategy_name or namespace)
    elif place.name in NAMES:
        _folders[str(place.parent)] = _Folder(account, namespace, chosen, strategy_name)
    elif place.suffix:
        raise InvalidInput(
            f"{place.name!r} says not what it holds; name it by kind={' or '.join(Kind)}"
        )
    else:
        _folders[str(place)] = _Folder(account, namespace, chosen, strategy_name)
    _find.cache_clear()


def bind_tree(path: str | os.PathLike[str], account: str) -> None:
    """Bind a directory of strategies: files in it to the account, each folder a namespace."""
    _folders[_absolute(path)] = _Folder(account, "", None, "", deep=True)
    _find.cache_clear()


def find(path: str | os.PathLike[str]) -> Binding | None:
    """Return what a path stands for, None for a plain file."""
    # A tick asks three times; only a relative path has to be looked at anew.
    text = os.fspath(path)
    return _find(text if os.path.isabs(text) else os.path.abspath(text))  # noqa: PTH100, PTH117


@functools.lru_cache(maxsize=1024)
def _find(path: str) -> Binding | None:
    path = _absolute(path)
    if path in _files:
        return _files[path]
    place = Path(path)
    kind = NAMES.get(place.name)
    if kind is None:
        return None
    folder, namespace = _folder_of(place.parent)
    if folder is None:
        return None
    form = folder.form or _form_of(place)
    name = folder.strategy_name or namespace
    return Binding(place, _book(folder.account, namespace), kind, form, name)


def _folder_of(directory: Path) -> tuple[_Folder | None, str]:
    own = _folders.get(str(directory))
    if own is not None:
        return own, own.namespace
    above = _folders.get(str(directory.parent))
    if above is not None and above.deep:
        return above, directory.name
    return None, ""


def store() -> DataStore:
    """Return the store of all bindings; the first call opens it."""
    global _store
    with _opening:
        if _store is None:
            _store = create_data_store()
        return _store


def use_store(opened: DataStore | None) -> None:
    """Have bindings work on a store that the script opened itself."""
    global _store
    with _opening:
        _store = opened
        adopted.clear()


def forget_all() -> None:
    """Undo every binding; the store is left to its owner."""
    _files.clear()
    _folders.clear()
    _find.cache_clear()
    use_store(None)


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100, a tick calls it three times


def _form_of(path: Path) -> Form:
    return Form.FLAT if path.name in _FLAT_NAMES else Form.STRUCTURED


def _book(account: str, namespace: str) -> str:
    return parse_book(f"{account}/{namespace}" if namespace else account)
