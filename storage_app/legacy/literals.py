"""What an expression in a Python file is worth, found without running any of it.

Literals, arithmetic, comparisons, choices, names that the file has given a value before, and
members of its classes and enums are understood. Nothing is called but a few constructors of
containers, and no attribute of a real object is ever looked up.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Nobody writes larger parameters, and `9 ** 9 ** 9` must not keep the import busy.
_MOST_ITEMS = 10_000
_MOST_BITS = 256
_MOST_EXPONENT = 64

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "set": set,
    "frozenset": frozenset,
    "list": list,
    "tuple": tuple,
    "dict": dict,
}


class Unevaluable(ValueError):
    """An expression whose value only running the file would tell; `line` is where it stands."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Members:
    """A class of the file: its attributes by name; members of an enum are their values."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that has a value which cannot be found; `reason` says why."""

    reason: str


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression; Unevaluable says what cannot be known, and where."""
    try:
        return _Evaluation(names).value(node)
    except Unevaluable:
        raise
    except (ArithmeticError, TypeError, ValueError, LookupError) as exc:
        raise Unevaluable(node.lineno, f"{type(exc).__name__}: {exc}") from exc
    except RecursionError as exc:
        raise Unevaluable(node.lineno, "too deeply nested") from exc


class _Evaluation:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def value(self, node: ast.expr) -> Any:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not a fixed value")
        return method(node)

    def _constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bytes | complex) or node.value is Ellipsis:
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is no kind of parameter")
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self._names:
            raise Unevaluable(node.lineno, f"{node.id!r} has no value in this file")
        found = self._names[node.id]
        if isinstance(found, Unknown):
            raise Unevaluable(node.lineno, f"{node.id!r} cannot be known: {found.reason}")
        return found

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value) if isinstance(node.value, ast.Name) else None
        if isinstance(owner, Members):
            if node.attr not in owner.values:
                raise Unevaluable(node.lineno, f"{owner.name} has no {node.attr!r}")
            return _known(owner.values[node.attr], node)
        # The value of an enum's member, which is what its name stands for here.
        if node.attr in ("value", "name") and isinstance(node.value, ast.Attribute):
            return self.value(node.value) if node.attr == "value" else node.value.attr
        raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not a fixed value")

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(item) for item in node.elts)

    def _list(self, node: ast.List) -> Any:
        return [self.value(item) for item in node.elts]

    def _set(self, node: ast.Set) -> Any:
        return {self.value(item) for item in node.elts}

    def _dict(self, node: ast.Dict) -> Any:
        if any(key is None for key in node.keys):
            raise Unevaluable(node.lineno, "'**' in a dictionary is not understood")
        keys = [self.value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(self.value, node.values), strict=True))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if type(node.op) not in _UNARY:
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not understood")
        return _UNARY[type(node.op)](self.value(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        if type(node.op) not in _BINARY:
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not understood")
        left, right = self.value(node.left), self.value(node.right)
        _refuse_growth(node, left, right)
        return _bounded(_BINARY[type(node.op)](left, right), node)

    def _boolop(self, node: ast.BoolOp) -> Any:
        is_and = isinstance(node.op, ast.And)
        found: Any = is_and
        for item in node.values:
            found = self.value(item)
            if bool(found) is not is_and:
                break
        return found

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        for operation, item in zip(node.ops, node.comparators, strict=True):
            if type(operation) not in _COMPARISONS:
                raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not understood")
            right = self.value(item)
            if not _COMPARISONS[type(operation)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if not isinstance(owner, list | tuple | dict | str):
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not a fixed value")
        return owner[self.value(node.slice)]

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _CONSTRUCTORS or name in self._names:
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} would have to be called")
        if any(keyword.arg is None for keyword in node.keywords):
            raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not understood")
        named = {word.arg: self.value(word.value) for word in node.keywords if word.arg}
        return _bounded(_CONSTRUCTORS[name](*map(self.value, node.args), **named), node)


def _known(value: Any, node: ast.expr) -> Any:
    if isinstance(value, Unknown):
        raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} cannot be known: {value.reason}")
    return value


def _refuse_growth(node: ast.BinOp, left: Any, right: Any) -> None:
    """Refuse powers and repetitions before they take the memory."""
    if isinstance(node.op, ast.Pow) and (abs(right) > _MOST_EXPONENT or abs(left) > 2**32):
        raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is too large")
    if isinstance(node.op, ast.Mult):
        for items, times in ((left, right), (right, left)):
            if isinstance(items, str | list | tuple) and len(items) * times > _MOST_ITEMS:
                raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is too large")
    if isinstance(node.op, ast.Mod) and isinstance(left, str):
        raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is not understood")


def _bounded(value: Any, node: ast.expr) -> Any:
    is_long = isinstance(value, str | list | tuple | set | dict) and len(value) > _MOST_ITEMS
    is_high = isinstance(value, int) and value.bit_length() > _MOST_BITS
    if is_long or is_high:
        raise Unevaluable(node.lineno, f"{ast.unparse(node)!r} is too large")
    return value
