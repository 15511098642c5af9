"""Settings that come with a query, on an engine whose settings outlive queries."""

from __future__ import annotations

import logging

from chdb_server.engine import Link
from chdb_server.errors import UNKNOWN_SETTING, QueryError
from chdb_server.options import SESSION_DEFAULTS
from chdb_server.packets import Setting
from chdb_server.statements import assigned_settings, literal

logger = logging.getLogger(__name__)

# The link names itself with it, to be found when a query is to be stopped.
_OWN = frozenset({"log_comment"})


class QuerySettings:
    """Brings a link's settings to what each query asks for.

    A setting that the next query does not name goes back to what a SET
    statement of the same session chose, else to the default.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._applied: dict[str, str] = {}
        self._chosen = {name: literal(value) for name, value in SESSION_DEFAULTS.items()}

    def apply(self, settings: tuple[Setting, ...]) -> None:
        wanted = {s.name: s for s in settings if s.name not in _OWN}
        for name in [name for name in self._applied if name not in wanted]:
            del self._applied[name]
            self._set(name, self._chosen.get(name, "DEFAULT"))
        for setting in wanted.values():
            if self._applied.get(setting.name) != setting.value:
                self._apply_one(setting)

    def remember(self, statement: str) -> None:
        """Note the settings of a SET statement that has been executed."""
        for name, value in assigned_settings(statement).items():
            self._chosen[name] = value
            self._applied.pop(name, None)

    def _apply_one(self, setting: Setting) -> None:
        try:
            self._set(setting.name, literal(setting.value))
        except QueryError as error:
            if error.code != UNKNOWN_SETTING or setting.is_important:
                raise
            logger.debug("ignoring unknown setting %s", setting.name)
            return
        self._applied[setting.name] = setting.value

    def _set(self, name: str, value: str) -> None:
        if not name.isidentifier():
            raise unknown_setting(name)
        self._link.run(f"SET {name} = {value}")


def unknown_setting(name: str) -> QueryError:
    return QueryError(
        UNKNOWN_SETTING, f"{QueryError.name}: Unknown setting {name!r} (UNKNOWN_SETTING)"
    )
