"""Where the data of a column ends: the native layout of every type, without its values.

A block on the wire carries no length, so the only way to its end is through
its columns. Nothing is decoded; the bytes are passed over.
"""

from __future__ import annotations

from chdb_server.errors import MalformedPacket
from chdb_server.typenames import TypeName
from chdb_server.wire import Inflow

_WIDTHS = {
    **dict.fromkeys(("Bool", "Int8", "UInt8", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("Int16", "UInt16", "Enum16", "Date", "BFloat16"), 2),
    **dict.fromkeys(("Int32", "UInt32", "Float32", "Date32", "DateTime", "DateTime32"), 4),
    **dict.fromkeys(("Time", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("Int64", "UInt64", "Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("Int128", "UInt128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("Int256", "UInt256", "Decimal256"), 32),
}
_POINT = TypeName(("Tuple",), (TypeName(("Float64",)), TypeName(("Float64",))))


def _array_of(element: TypeName) -> TypeName:
    return TypeName(("Array",), (element,))


_ALIASES = {
    "Point": _POINT,
    "Ring": _array_of(_POINT),
    "LineString": _array_of(_POINT),
    "MultiLineString": _array_of(_array_of(_POINT)),
    "Polygon": _array_of(_array_of(_POINT)),
    "MultiPolygon": _array_of(_array_of(_array_of(_POINT))),
}
_KEY_WIDTH_BITS = 0xF
_HAS_DICTIONARY = 1 << 9
_WIDEST_FIXED_STRING = 1 << 20


class UnsupportedType(MalformedPacket):
    """A column whose layout is not known here, so that its block has no visible end."""


def skip_column(inflow: Inflow, kind: TypeName, rows: int) -> None:
    """Pass over one column. All prefixes of nested types precede all data."""
    if rows:
        _skip_prefix(inflow, kind)
        _skip_data(inflow, kind, rows)


def require_supported(kind: TypeName) -> None:
    """Raise UnsupportedType unless `skip_column` can pass over this type."""
    kind = _plain(kind)
    if kind.name in ("Nullable", "Array", "LowCardinality", "Tuple"):
        for argument in kind.arguments:
            require_supported(argument)
    elif kind.name != "String":
        _width(kind)


def _plain(kind: TypeName) -> TypeName:
    """Reduce the types that are stored as another type."""
    if kind.name == "Map":
        return _array_of(TypeName(("Tuple",), kind.arguments))
    if kind.name == "Nested":
        return _array_of(TypeName(("Tuple",), kind.arguments))
    if kind.name == "SimpleAggregateFunction":
        return _plain(kind.arguments[-1])
    return _ALIASES.get(kind.name, kind)


def _skip_prefix(inflow: Inflow, kind: TypeName) -> None:
    kind = _plain(kind)
    if kind.name == "LowCardinality":
        inflow.skip(8)
    elif kind.name in ("Array", "Tuple", "Nullable"):
        for argument in kind.arguments:
            _skip_prefix(inflow, argument)


def _skip_data(inflow: Inflow, kind: TypeName, rows: int) -> None:
    kind = _plain(kind)
    if not rows:
        return
    if kind.name == "String":
        inflow.skip_strings(rows)
    elif kind.name in ("Nullable", "Tuple"):
        inflow.skip(rows if kind.name == "Nullable" else 0)
        for argument in kind.arguments:
            _skip_data(inflow, argument, rows)
    elif kind.name == "Array":
        inflow.skip(8 * (rows - 1))
        _skip_data(inflow, kind.arguments[0], inflow.unsigned(8))
    elif kind.name == "LowCardinality":
        _skip_low_cardinality(inflow, kind.arguments[0])
    else:
        inflow.skip(_width(kind) * rows)


def _skip_low_cardinality(inflow: Inflow, kind: TypeName) -> None:
    """Pass over dictionary and keys; a Nullable dictionary has no null map of its own."""
    layout = inflow.unsigned(8)
    if not layout & _HAS_DICTIONARY or layout & _KEY_WIDTH_BITS > 3:
        raise MalformedPacket(f"LowCardinality layout {layout:#x}")
    values = kind.arguments[0] if kind.name == "Nullable" else kind
    _skip_data(inflow, values, inflow.unsigned(8))
    inflow.skip(inflow.unsigned(8) << (layout & _KEY_WIDTH_BITS))


def _width(kind: TypeName) -> int:
    if kind.name == "FixedString":
        return min(_number(kind), _WIDEST_FIXED_STRING)
    if kind.name == "Decimal":
        return next(width for digits, width in _DECIMAL_WIDTHS if _number(kind) <= digits)
    if kind.name.startswith("Interval"):
        return 8
    if kind.name not in _WIDTHS:
        raise UnsupportedType(f"columns of type {kind.name} cannot be sent as blocks")
    return _WIDTHS[kind.name]


_DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (10**9, 32))


def _number(kind: TypeName) -> int:
    if not kind.arguments or not kind.arguments[0].name.isdigit():
        raise MalformedPacket(f"{kind.name} without its size")
    return int(kind.arguments[0].name)
