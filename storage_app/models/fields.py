from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class CollatedCharField(_CharField):
    """Text with a collation per database vendor, so that it compares alike on all of them.

    The default of MariaDB takes no notice of case and accents, that of SQLite does.
    """

    def __init__(self, *args: Any, collations: Mapping[str, str], **kwargs: Any) -> None:
        self.collations = dict(collations)
        super().__init__(*args, **kwargs)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        collation = self.collations.get(connection.vendor)
        return {**super().db_parameters(connection), "collation": collation}

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "collations": self.collations}
