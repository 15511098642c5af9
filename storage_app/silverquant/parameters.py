"""Parameters of a strategy as the attribute objects that its parts take, like `BuyConf`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = Mapping[str, Any]


class Parameters:
    """Attributes of the version that is active, read anew at each access.

    `section` is a group within the version (`BuyConf`); a version without such groups is one.
    What the version does not have comes from `defaults`, the class that the script defines; a
    list where the default is a tuple or a set becomes one.
    """

    def __init__(
        self, current: Callable[[], Values], section: str = "", defaults: Any = None
    ) -> None:
        self._current = current
        self._section = section
        self._defaults = defaults

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        values = self._values()
        default = getattr(self._defaults, name, None)
        if name not in values:
            if not hasattr(self._defaults, name):
                raise AttributeError(f"there is no parameter {self._label(name)}")
            return default
        value = values[name]
        if isinstance(value, Mapping) and not self._section and self._defaults is None:
            return Parameters(self._current, name)
        return _like(default, value)

    def __dir__(self) -> list[str]:
        own = {name for name in dir(self._defaults or ()) if not name.startswith("_")}
        return sorted(own | self._values().keys())

    def __repr__(self) -> str:
        return f"Parameters({dict(self._values())!r})"

    def _values(self) -> Values:
        values = self._current()
        group = values.get(self._section) if self._section else values
        return group if isinstance(group, Mapping) else values

    def _label(self, name: str) -> str:
        return f"{self._section}.{name}" if self._section else name


def _like(default: Any, value: Any) -> Any:
    """Return what JSON made a list of as the script knows it."""
    if isinstance(value, list) and isinstance(default, tuple | set | frozenset):
        return type(default)(value)
    return value
