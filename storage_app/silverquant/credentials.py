"""`credentials.py` of a SilverQuant checkout: read, never executed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from storage_app.legacy.text import LegacyFileError, read_text

NAME: Final = "credentials.py"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Names and plain values; what would have to be computed is left out and listed."""

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""


def find() -> Path | None:
    """Return the file beside the script, or in the working directory."""
    places = dict.fromkeys((Path(sys.path[0] or "."), Path.cwd()))
    return next((place / NAME for place in places if (place / NAME).is_file()), None)


def read(path: Path | None = None) -> Credentials:
    """Return what the file says, nothing if there is none; LegacyFileError if it is no Python."""
    path = path or find()
    if path is None:
        return Credentials()
    text = read_text(path)
    try:
        tree = ast.parse(text)
    except SyntaxError as exc:
        # The line itself may hold a secret and is not repeated.
        raise LegacyFileError(path, exc.lineno or 0, "", "", exc.msg) from exc
    values: dict[str, Any] = {}
    skipped = []
    for name, node in _assignments(tree):
        try:
            values[name] = ast.literal_eval(node)
        except ValueError:
            skipped.append(name)
    return Credentials(path, values, tuple(skipped))


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            if isinstance(statement.target, ast.Name):
                yield statement.target.id, statement.value
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
