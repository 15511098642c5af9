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
# What is given in place of an object reads as this.
_NOT_AN_OBJECT = 'line 1: write an object of names and values, such as {"slots": 10}'


class _RepeatedError(ValueError):
    """A JSON object names a key twice."""


def format_of(filename: str) -> Format:
    """Return the format that the end of a file's name tells; InvalidInput for another."""
    for suffix, found in _SUFFIXES.items():
        if filename.lower().endswith(suffix):
            return found
    raise InvalidInput(f"{filename!r} is neither a .json nor a .yaml file")


def decode(content: bytes) -> str:
    """Return the text of a file, UTF-8 with or without a byte order mark."""
    if len(content) > 2 * parameters.MAX_BYTES:
        raise InvalidInput(f"the file has {len(content)} bytes, far more than parameters may take")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        raise InvalidInput(f"line {line}: byte {content[exc.start]:#04x} is not UTF-8") from exc


def read(text: str, form: Format) -> dict[str, Any]:
    """Return the parameters that a text holds; InvalidInput names the line of what is wrong.

    A key given twice is an error, since all but one of its values would be lost unseen.
    """
    try:
        found = _READERS[form](text)
    except RecursionError as exc:
        raise InvalidInput(f"nested deeper than {parameters.MAX_DEPTH} levels") from exc
    if not isinstance(found, dict):
        raise InvalidInput(_NOT_AN_OBJECT)
    return parameters.normalise(found).params


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
        raise InvalidInput(f"line {exc.lineno}, column {exc.colno}: {exc.msg}") from exc
    except _RepeatedError as exc:
        # YAML's grammar knows where things stand; a tab is white space in JSON alone.
        _check_tree(text.replace("\t", " "))
        raise InvalidInput(str(exc)) from exc


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedError(f"the key {repeated!r} is given twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not a finite number")


def _read_yaml(text: str) -> Any:
    if len(text) > _MAX_YAML:
        raise InvalidInput(f"YAML of {len(text)} characters; use JSON above {_MAX_YAML}")
    _check_tree(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise InvalidInput(_describe(exc)) from exc
    except ValueError as exc:
        # A date such as 2026-02-30 fits the form of one and is none.
        raise InvalidInput(f"a value cannot be read: {exc}") from exc


def _check_tree(text: str) -> None:
    """Refuse references, which let a short text grow without end, and repeated keys."""
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise InvalidInput(
                    f"line {line}: references (*{event.anchor}) "
                    "are not supported; write the value out"
                )
        tree = yaml.compose(text, Loader=_PARSER)
    except yaml.YAMLError as exc:
        raise InvalidInput(_describe(exc)) from exc
    for node, line in _repeated_keys(tree):
        raise InvalidInput(f"line {line}: the key {node!r} is given twice")


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


def _describe(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    if mark is None:
        return problem
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


_READERS: Mapping[Format, Callable[[str], Any]] = {
    Format.JSON: _read_json,
    Format.YAML: _read_yaml,
}
