"""Names and classes of a Python file with the values they have, found without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage_app.legacy.literals import Members, Unevaluable, Unknown, evaluate
from storage_app.legacy.text import LegacyFileError, read_text, split_lines

# How deep imports are followed: a strategy, its constants, theirs.
_DEEPEST = 3
_ENUMS = ("Enum", "IntEnum", "StrEnum")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A name that a class or the file gives a value; `error` says why it has none here."""

    name: str
    line: int
    value: Any = None
    error: str = ""


@dataclass(slots=True)
class Script:
    """Assignments of a file by name, the last one of each, and those of its classes."""

    path: Path
    lines: list[str]
    names: dict[str, Assignment] = field(default_factory=dict)
    classes: dict[str, dict[str, Assignment]] = field(default_factory=dict)

    def line(self, number: int) -> str:
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


def read_script(path: Path) -> Script:
    """Read a file; LegacyFileError when it is not Python. Imports beside it are followed."""
    return _read(path, path.parent, 0)


def _read(path: Path, root: Path, depth: int) -> Script:
    text = read_text(path)
    try:
        tree = ast.parse(text)
    except SyntaxError as exc:
        # The line itself may hold a secret and is not repeated.
        reason = f"not a Python file: {exc.msg}"
        raise LegacyFileError(path, exc.lineno or 1, "", "", reason) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise LegacyFileError(path, 1, "", "", f"not a Python file: {exc}") from exc
    reader = _Reader(Script(path, split_lines(text)), root, depth)
    for statement in tree.body:
        reader.read(statement)
    return reader.script


class _Reader:
    """Follows the statements of one file in their order."""

    def __init__(self, script: Script, root: Path, depth: int) -> None:
        self.script = script
        self._root = root
        self._depth = depth
        self._values: dict[str, Any] = {}

    def read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.ClassDef):
            self._read_class(statement)
        elif isinstance(statement, ast.ImportFrom):
            self._follow(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            for one in _assignments(statement, self._values):
                self.script.names[one.name] = one
                self._values[one.name] = Unknown(one.error) if one.error else one.value

    def _read_class(self, statement: ast.ClassDef) -> None:
        found: dict[str, Assignment] = {}
        for base in reversed(statement.bases):
            if isinstance(base, ast.Name):
                found |= self.script.classes.get(base.id, {})
        for inner in statement.body:
            # A class sees its own attributes before those of the file.
            seen = {**self._values, **_values(found)}
            found |= {one.name: one for one in _class_assignments(inner, seen)}
        self.script.classes[statement.name] = found
        is_enum = any(_last_name(base) in _ENUMS for base in statement.bases)
        known = _values(found)
        if is_enum:
            known = {name: value for name, value in known.items() if not name.startswith("_")}
        self._values[statement.name] = Members(statement.name, known)

    def _follow(self, statement: ast.ImportFrom) -> None:
        """Take over the values of a module that lies beside the file; others stay unknown."""
        module = self._module(statement)
        for alias in statement.names:
            if alias.name == "*":
                self._values |= module
                continue
            reason = f"imported from {statement.module}"
            self._values[alias.asname or alias.name] = module.get(alias.name, Unknown(reason))

    def _module(self, statement: ast.ImportFrom) -> Mapping[str, Any]:
        parts = (statement.module or "").split(".")
        path = self._root.joinpath(*parts).with_suffix(".py")
        if statement.level or self._depth == _DEEPEST or not path.is_file():
            return {}
        try:
            other = _read(path, self._root, self._depth + 1)
        except LegacyFileError:
            return {}
        classes = {name: Members(name, _values(own)) for name, own in other.classes.items()}
        return {**_values(other.names), **classes}


def _values(found: Mapping[str, Assignment]) -> dict[str, Any]:
    return {name: Unknown(one.error) if one.error else one.value for name, one in found.items()}


def _last_name(base: ast.expr) -> str:
    return ast.unparse(base).rpartition(".")[2]


def _class_assignments(statement: ast.stmt, values: Mapping[str, Any]) -> Iterator[Assignment]:
    """Yield what a statement in the body of a class sets; functions and texts set nothing."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        yield from _assignments(statement, values)
    elif isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.AugAssign | ast.Try):
        text = ast.unparse(statement).partition("\n")[0]
        for name in _targets_within(statement):
            yield Assignment(name, statement.lineno, error=f"{text!r} decides at run time")


def _targets_within(statement: ast.stmt) -> list[str]:
    found = [
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys(found))


def _assignments(
    statement: ast.Assign | ast.AnnAssign, values: Mapping[str, Any]
) -> Iterator[Assignment]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if statement.value is None:  # `name: int` sets nothing
        return
    try:
        value, error, line = evaluate(statement.value, values), "", statement.lineno
    except Unevaluable as exc:
        value, error, line = None, str(exc), exc.line
    for target in targets:
        yield from _assigned(target, value, error, line)


def _assigned(target: ast.expr, value: Any, error: str, line: int) -> Iterator[Assignment]:
    if isinstance(target, ast.Name):
        yield Assignment(target.id, line, value, error)
    elif isinstance(target, ast.Tuple | ast.List):
        is_match = isinstance(value, list | tuple) and len(value) == len(target.elts)
        error = error or ("" if is_match else "the values do not match the names")
        parts = value if is_match else [None] * len(target.elts)
        for inner, part in zip(target.elts, parts, strict=True):
            yield from _assigned(inner, part, error, line)
