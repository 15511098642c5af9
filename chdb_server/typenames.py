"""ClickHouse type names as trees: `Map(String, Array(UInt8))` and the like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from chdb_server.errors import MalformedPacket

_QUOTED = r"'(?:[^'\\]|\\.|'')*'"
_BACKQUOTED = r"`(?:[^`\\]|\\.|``)*`"
_TOKEN = re.compile(rf"\s*({_QUOTED}|{_BACKQUOTED}|[(),]|[^\s(),'`]+)", re.DOTALL)
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class TypeName:
    """`words` are what precedes the parentheses: an element name, then the type's own name."""

    words: tuple[str, ...]
    arguments: tuple[TypeName, ...] = ()

    @property
    def name(self) -> str:
        return self.words[-1] if self.words else ""


@lru_cache(maxsize=1024)
def parse(text: str) -> TypeName:
    """Return the tree of a type name; raise MalformedPacket where there is none."""
    tokens = _tokens(text)
    tree, end = _element(tokens, 0, 0)
    if end != len(tokens) or not tree.words:
        raise MalformedPacket(f"not a type name: {text[:200]!r}")
    return tree


def _tokens(text: str) -> list[str]:
    tokens, at, text = [], 0, text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise MalformedPacket(f"not a type name: {text[:200]!r}")
        tokens.append(found.group(1))
        at = found.end()
    return tokens


def _element(tokens: list[str], at: int, depth: int) -> tuple[TypeName, int]:
    start = at
    while at < len(tokens) and tokens[at] not in "(),":
        at += 1
    words = tuple(tokens[start:at])
    if at == len(tokens) or tokens[at] != "(":
        return TypeName(words), at
    arguments, at = _arguments(tokens, at + 1, depth + 1)
    return TypeName(words, arguments), at


def _arguments(tokens: list[str], at: int, depth: int) -> tuple[tuple[TypeName, ...], int]:
    if depth > _DEEPEST:
        raise MalformedPacket("a type name nested too deeply")
    arguments = []
    while True:
        argument, at = _element(tokens, at, depth)
        arguments.append(argument)
        if at == len(tokens):
            raise MalformedPacket("a type name without its closing parenthesis")
        at += 1
        if tokens[at - 1] == ")":
            return tuple(arguments), at
