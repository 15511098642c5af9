from __future__ import annotations

from storage_app.contract.errors import Unsupported


class Absent:
    """Stand in for a method of a role that a mode does not have; names the modes that do."""

    def __init__(self, method: str, role: type, mode: str, homes: list[str]) -> None:
        self._message = (
            f"{method}: mode {mode!r} has no {role.__name__}; use mode {' or '.join(homes)}"
        )

    def __call__(self, *args: object, **kwargs: object) -> None:
        raise Unsupported(self._message)
