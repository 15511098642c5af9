"""Parameters as text that people write and exchange: JSON and YAML, with the line of an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import yaml

from storage_app.contract import parameters
from storage_app.contract.errors import InvalidInput


class Format(StrEnum):
    JSON = "json"
    YAML = "yaml"


CONTENT_TYPES = {Format.JSON: "application/json", Format.YAML: "application/yaml"}
_SUFFIXES = {".json": Format.JSON, ".yaml": Format.YAML, ".yml": Format.YAML}
# The reader of YAML is slow, and nobody writes that much by hand.
_MAX_YAML = 256 * 1024
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REPEATED = "a key is given twice"
_NOT_AN_OBJECT = "write an object of names and values"


class Unreadable(InvalidInput):
    """A text holds no parameters; where is known, the line and the column, counted from 1."""

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        self.problem, self.line, self.column = problem, line, column
        place = "" if line is None else f"line {line}: "
        if column is not None:
            place = f"line {line}, column {column}: "
        super().__init__(f"{place}{problem}")


class _RepeatedError(ValueError):
    """A JSON object names a key twice."""


def format_of(filename: str) -> Format:
    """Return the format that the end of a file's name tells; InvalidInput for another."""
    for suffix, found in _SUFFIXES.items():
        if filename.lower().endswith(suffix):
            return found
    raise Unreadable("the file is neither .json nor .yaml")


def decode(content: bytes) -> str:
    """Return the text of a file, UTF-8 with or without a byte order mark."""
    if len(content) > 2 * parameters.MAX_BYTES:
        raise Unreadable("the file is far larger than parameters may be")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        raise Unreadable("the file is not UTF-8", line) from exc


def read(text: str, form: Format) -> dict[str, Any]:
    """Return the parameters that a text holds; InvalidInput names the line of what is wrong.

    A key given twice is an error, since all but one of its values would be lost unseen.
    """
    found = _parse(text, form)
    if not isinstance(found, dict):
        raise Unreadable(_NOT_AN_OBJECT, 1)
    return parameters.normalise(found).params


def read_value(text: str, form: Format) -> Any:
    """Return any one value that a text holds; `read` says what is refused."""
    return parameters.normalise({"value": _parse(text, form)}).params["value"]


def _parse(text: str, form: Format) -> Any:
    try:
        return _READERS[form](text)
    except RecursionError as exc:
        raise Unreadable("nested too deep") from exc


def write(params: Mapping[str, Any], form: Format) -> str:
    """Return parameters as a text that `read` turns into the same parameters."""
    if form is Format.JSON:
        return json.dumps(params, ensure_ascii=False, indent=2) + "\n"
    return yaml.dump(dict(params), Dumper=_Dumper, allow_unicode=True, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands twice out twice, since `read` takes no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoted(dumper: _Dumper, text: str) -> yaml.Node:
    """Write text with a control character in quotes, or YAML would fold it into a space."""
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        raise Unreadable(exc.msg, exc.lineno, exc.colno) from exc
    except _RepeatedError as exc:
        # YAML's grammar knows where things stand; a tab is white space in JSON alone.
        _check_tree(text.replace("\t", " "))
        raise Unreadable(str(exc)) from exc


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedError(f"{_REPEATED}: {repeated}")
    return found


def _refuse_constant(name: str) -> Any:
    raise Unreadable(f"not a finite number: {name}")


def _read_yaml(text: str) -> Any:
    if len(text) > _MAX_YAML:
        raise Unreadable("too much for YAML; use JSON")
    _check_tree(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise _translated(exc) from exc
    except ValueError as exc:
        # A date such as 2026-02-30 fits the form of one and is none.
        raise Unreadable(f"a value cannot be read: {exc}") from exc


def _check_tree(text: str) -> None:
    """Refuse references, which let a short text grow without end, and repeated keys."""
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                name = f"*{event.anchor}"
                raise Unreadable(f"references are not supported; write the value out: {name}", line)
        tree = yaml.compose(text, Loader=_PARSER)
    except yaml.YAMLError as exc:
        raise _translated(exc) from exc
    for node, line in _repeated_keys(tree):
        raise Unreadable(f"{_REPEATED}: {node}", line)


def _repeated_keys(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            named = (key.tag, str(key.value))
            if named in seen:
                yield named[1], key.start_mark.line + 1
            seen.add(named)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _translated(exc: yaml.YAMLError) -> Unreadable:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    if mark is None:
        return Unreadable(problem)
    return Unreadable(problem, mark.line + 1, mark.column + 1)


_READERS: Mapping[Format, Callable[[str], Any]] = {
    Format.JSON: _read_json,
    Format.YAML: _read_yaml,
}
