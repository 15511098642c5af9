"""Rows of the relational database as JSON lines, a file per model.

Rows keep their keys. A foreign key to a permission or a content type is written as the names
that make it, since migrations number those anew in each database. Django's own serializers cut
times to milliseconds, and their loader writes row by row; hence this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction
from django.db.models.sql import InsertQuery
from django.utils.translation import gettext as _

from storage_app.backup import manifest, registry
from storage_app.backup.lines import write_lines
from storage_app.backup.manifest import Part
from storage_app.backup.registry import Model
from storage_app.contract.errors import Corrupt
from storage_app.contract.watching import Watch

KIND: Final = "relational"
PAGE: Final = 1000
_NAMED: Final = (ContentType, Permission)

Names = dict[type[models.Model], dict[Any, Any]]


def dump(root: Path, watch: Watch) -> Iterator[Part]:
    """Write the rows of one moment, a page in memory at a time."""
    wanted = registry.included()
    with one_moment():
        names = _names_by_key()
        for number, model in enumerate(wanted, start=1):
            path = root / KIND / f"{registry.label(model)}.jsonl"
            rows = write_lines(path, lines_of(model, names))
            yield manifest.describe(root, path, KIND, rows)
            watch.step(_("relational tables"), number, len(wanted))


@contextmanager
def one_moment() -> Iterator[None]:
    """Show every query of the block the same state of the database."""
    if connection.vendor == "mysql" and not connection.in_atomic_block:
        # For the next transaction only; the usual level would see what others commit meanwhile.
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with transaction.atomic():
        yield


def occupied() -> dict[str, int]:
    """Return the tables with rows that somebody made, and how many."""
    counts = {
        registry.label(model): models.QuerySet(model).count()
        for model in registry.included()
        if registry.label(model) not in registry.SEEDED
    }
    return {name: count for name, count in counts.items() if count}


def load(root: Path, parts: Iterable[Part], watch: Watch) -> None:
    """Put the rows in place of those that stand; the caller's transaction makes it one step."""
    wanted = {part.path: part for part in parts}
    tables = [model._meta.db_table for model in registry.included()]
    with connection.constraint_checks_disabled():
        _empty([*tables, *(model._meta.db_table for model in registry.cleared())])
        keys = _keys_by_name()
        for number, model in enumerate(registry.included(), start=1):
            part = wanted.get(f"{KIND}/{registry.label(model)}.jsonl")
            if part is not None:
                _insert(model, root / part.path, keys)
            watch.step(_("relational tables"), number, len(tables))
    connection.check_constraints(table_names=tables)


def verify(root: Path, parts: Iterable[Part]) -> None:
    """Write the rows once more, into a checksum only, and compare; Corrupt names the table."""
    names = _names_by_key()
    wanted = {part.path: part for part in parts}
    for model in registry.included():
        part = wanted.get(f"{KIND}/{registry.label(model)}.jsonl")
        if part is None:
            continue
        digest, rows = hashlib.sha256(), 0
        for line in lines_of(model, names):
            digest.update(line)
            rows += 1
        if (rows, digest.hexdigest()) != (part.rows, part.sha256):
            reason = f"{rows} rows of {registry.label(model)} stand there, not these {part.rows}"
            raise Corrupt(root / part.path, reason)


def lines_of(model: Model, names: Names) -> Iterator[bytes]:
    fields = model._meta.concrete_fields
    for row in _rows(model):
        values = {field.attname: _encoded(field, row, names) for field in fields}
        yield json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _rows(model: Model) -> Iterator[models.Model]:
    """Yield rows by key, a page per query: MySQL's driver would hold a whole answer."""
    last = None
    while True:
        page: models.QuerySet[Any] = models.QuerySet(model).order_by("pk")
        found = list((page if last is None else page.filter(pk__gt=last))[:PAGE])
        yield from found
        if len(found) < PAGE:
            return
        last = found[-1].pk


def _encoded(field: Any, row: models.Model, names: Names) -> Any:
    value = field.value_from_object(row)
    if value is None:
        return None
    if field.related_model in _NAMED:
        return names[field.related_model][value]
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case str() | int() | float() | list() | dict():
            return value
    return field.value_to_string(row)


def _insert(model: Model, path: Path, keys: Names) -> None:
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, page in enumerate(iter(lambda: list(islice(stream, PAGE)), [])):
            try:
                rows = [_decoded(model, json.loads(line), keys) for line in page]
            except (ValueError, KeyError, TypeError) as exc:
                first = number * PAGE + 1
                raise Corrupt(path, f"lines from {first}: {type(exc).__name__} {exc}") from exc
            # Not bulk_create, which sets times of creation anew and which audited models refuse.
            query = InsertQuery(model)
            query.insert_values(model._meta.concrete_fields, rows, raw=True)
            query.get_compiler(using=connection.alias).execute_sql()


def _decoded(model: Model, values: dict[str, Any], keys: Names) -> models.Model:
    row = model()
    for field in model._meta.concrete_fields:
        value = values[field.attname]
        if value is not None and field.related_model in _NAMED:
            value = keys[field.related_model][tuple(value)]
        elif value is not None:
            value = field.to_python(value)
        setattr(row, field.attname, value)
    return row


def _empty(tables: list[str]) -> None:
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608


def _names_by_key() -> Names:
    types = {one.pk: (one.app_label, one.model) for one in ContentType.objects.all()}
    permissions = {
        one.pk: (*types[one.content_type_id], one.codename) for one in Permission.objects.all()
    }
    return {ContentType: types, Permission: permissions}


def _keys_by_name() -> Names:
    return {
        model: {name: key for key, name in names.items()}
        for model, names in _names_by_key().items()
    }
