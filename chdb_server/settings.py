"""Settings that come with a query, on an engine whose settings outlive queries."""

from __future__ import annotations

import logging

from chdb_server.engine import Link
from chdb_server.errors import READONLY, UNKNOWN_SETTING, QueryError, query_error
from chdb_server.packets import Query, Setting
from chdb_server.statements import assigned_settings, first_word, literal

logger = logging.getLogger(__name__)

# Not for the engine: the link names itself with the first, to be found when a
# query is to be stopped; with the second no setting could be changed any more.
_OWN = frozenset({"log_comment", "readonly"})
_READING = ("SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "")


class QuerySettings:
    """Brings a link's settings to what each query asks for.

    A setting that the next query does not name goes back to what a SET
    statement of the same session chose, else to the default.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._applied: dict[str, str] = {}
        self._chosen = {name: literal(value) for name, value in link.defaults.items()}

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


def check_readonly(query: Query) -> None:
    """Refuse a statement that changes something if the query's settings say `readonly`."""
    values = [setting.value for setting in query.settings if setting.name == "readonly"]
    if values not in ([], ["0"]) and first_word(query.text) not in _READING:
        raise query_error(READONLY, "Cannot execute query in readonly mode", "READONLY")


def unknown_setting(name: str) -> QueryError:
    return query_error(UNKNOWN_SETTING, f"Unknown setting {name!r}", "UNKNOWN_SETTING")
