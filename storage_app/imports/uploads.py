"""Files that a person sends: kept below DATA_DIR/uploads, a folder per import.

An archive is judged by its list before a byte is written: sizes, number, and where each entry
would go. What a name says is never trusted beyond its own folder.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Final

from storage_app.contract.errors import InvalidInput

FOLDER: Final = "uploads"
MOST_BYTES: Final = 200 * 1024**2
MOST_UNPACKED: Final = 2 * 1024**3
MOST_FILES: Final = 20_000
_SUFFIXES: Final = frozenset({".csv", ".json", ".txt"})
_SOURCE: Final = "upload"
_BLOCK: Final = 1 << 20


def receive(
    data_dir: Path, token: str, name: str, size: int, chunks: Iterable[bytes]
) -> tuple[Path, bool]:
    """Keep an upload; return the file or, of an archive, the folder, and whether it is one.

    InvalidInput for what is too large, dangerous or of no known kind; nothing is kept then.
    """
    if size > MOST_BYTES:
        raise InvalidInput(f"{name} has {size:,} bytes; at most {MOST_BYTES:,} are taken")
    folder = data_dir / FOLDER / token
    folder.mkdir(parents=True)
    try:
        return _keep(folder, plain_name(name), chunks)
    except BaseException:
        shutil.rmtree(folder)
        raise


def remove(data_dir: Path, token: str) -> None:
    shutil.rmtree(data_dir / FOLDER / token, ignore_errors=True)


def below(root: Path, name: str) -> Path:
    """Return a directory or file of the server below the root that imports may read."""
    path = (root / name.strip().lstrip("/\\")).resolve()
    if not path.is_relative_to(root.resolve()):
        raise InvalidInput(f"{name!r} lies outside of {root}")
    if not path.exists():
        raise InvalidInput(f"there is no {name!r} below {root}")
    return path


def plain_name(name: str) -> str:
    """Return the last part of a name, however its system writes paths."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    if plain in ("", ".", "..") or "\0" in plain or not plain.isprintable():
        raise InvalidInput(f"{name!r} is not a file name")
    return plain


def _keep(folder: Path, name: str, chunks: Iterable[bytes]) -> tuple[Path, bool]:
    # Bars are named after their folder, and so are the rows that are rejected.
    path = folder / _SOURCE / name
    path.parent.mkdir()
    is_archive = path.suffix.lower() == ".zip"
    if not is_archive and path.suffix.lower() not in _SUFFIXES:
        raise InvalidInput(f"{name!r} is no .zip, .csv or .json file")
    written = 0
    with path.open("xb") as stream:
        for chunk in chunks:
            written += len(chunk)
            if written > MOST_BYTES:
                raise InvalidInput(f"{name} is larger than {MOST_BYTES:,} bytes")
            stream.write(chunk)
    if not is_archive:
        return path, False
    target = folder / "files"
    target.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            _unpack(archive, target)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as exc:
        raise InvalidInput(f"{name} cannot be unpacked: {exc}") from exc
    path.unlink()
    return _single_folder(target), True


def _unpack(archive: zipfile.ZipFile, target: Path) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise InvalidInput(f"the archive holds {len(entries):,} files, more than {MOST_FILES:,}")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_UNPACKED:
        raise InvalidInput(f"the archive unpacks to {total:,} bytes, more than {MOST_UNPACKED:,}")
    places = [(entry, _place(target, entry)) for entry in entries]
    left = MOST_UNPACKED
    for entry, place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, place.open("xb") as stream:
            left -= _copy(source, stream, left)


def _place(target: Path, entry: zipfile.ZipInfo) -> Path:
    """Return where an entry goes; InvalidInput for one that leads anywhere else."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InvalidInput(f"{entry.filename!r} in the archive is no plain file")
    is_odd = name.is_absolute() or ":" in entry.filename or "\0" in entry.filename
    if is_odd or ".." in name.parts:
        raise InvalidInput(f"{entry.filename!r} in the archive leads out of it")
    place = target.joinpath(*name.parts)
    if not place.resolve().is_relative_to(target.resolve()):
        raise InvalidInput(f"{entry.filename!r} in the archive leads out of it")
    return place


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> int:
    """Copy what is there, whatever the list of the archive said of its size."""
    copied = 0
    while block := source.read(_BLOCK):
        copied += len(block)
        if copied > most:
            raise InvalidInput(f"the archive unpacks to more than {MOST_UNPACKED:,} bytes")
        target.write(block)
    return copied


def _single_folder(folder: Path) -> Path:
    """Return the one folder that everything was packed in, or the folder itself."""
    entries = list(folder.iterdir())
    is_wrapped = len(entries) == 1 and entries[0].is_dir()
    is_known = is_wrapped and (
        entries[0].name.startswith("_daily_") or entries[0].name.endswith("_pwc")
    )
    return entries[0] if is_wrapped and not is_known else folder
