from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models

ModelT = TypeVar("ModelT", bound=models.Model, covariant=True)


class UnauditedChangeError(TypeError):
    """A change in bulk that would leave no trace; the services change rows one by one."""


class AuditedQuerySet(models.QuerySet[ModelT]):
    """Rows that are changed one at a time, each with an audit entry."""

    def update(self, **kwargs: Any) -> NoReturn:
        self._refuse("update")

    def delete(self) -> NoReturn:
        self._refuse("delete")

    def bulk_update(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_update")

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_create")

    def _refuse(self, method: str) -> NoReturn:
        raise UnauditedChangeError(
            f"{self.model.__name__}.objects.{method}() would leave no audit entry; "
            "change it through storage_app.services"
        )


class AuditedModel(models.Model):
    """A model whose every change leaves an audit entry, so it has no change in bulk."""

    objects = AuditedQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def audit_key(self) -> str:
        """What people call the row; it stays readable when the row is gone."""
        return str(self)


class KeptModel(AuditedModel):
    """A model whose rows are retired, never deleted."""

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnauditedChangeError(f"{self._meta.verbose_name} {self} is kept for ever")


class WrittenOnceModel(KeptModel):
    """A model whose rows never change."""

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding:
            raise UnauditedChangeError(f"{self._meta.verbose_name} {self} is written once")
        super().save(**kwargs)
