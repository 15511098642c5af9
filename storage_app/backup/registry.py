"""Which relational tables a backup holds; a test fails for a model that is in neither list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from django.apps import apps
from django.db import models

Model: TypeAlias = type[models.Model]

INCLUDED: Final = (
    "auth.group",
    "auth.group_permissions",
    "storage_app.user",
    "storage_app.user_groups",
    "storage_app.user_user_permissions",
    "storage_app.rolepolicy",
    "otp_totp.totpdevice",
    "otp_static.staticdevice",
    "otp_static.statictoken",
    "storage_app.account",
    "storage_app.accountgrant",
    "storage_app.accountsnapshot",
    "storage_app.strategy",
    "storage_app.paramversion",
    "storage_app.paramdecision",
    "storage_app.accountstrategy",
    "storage_app.tradeconflict",
    "storage_app.report",
    "storage_app.auditentry",
    "admin.logentry",
    "django_celery_beat.solarschedule",
    "django_celery_beat.intervalschedule",
    "django_celery_beat.clockedschedule",
    "django_celery_beat.crontabschedule",
    "django_celery_beat.periodictask",
)

EXCLUDED: Final = {
    "contenttypes.contenttype": "made by migrate; rows name theirs by app and model",
    "auth.permission": "made by migrate; rows name theirs by app, model and code name",
    "storage_app.jobrun": "what runs belongs to an installation; a lease would hold jobs back",
    "sessions.session": "people sign in again",
    "storage_app.signinsession": "people sign in again",
    "axes.accessattempt": "locks of sign-ins are of the moment",
    "axes.accessattemptexpiration": "locks of sign-ins are of the moment",
    "axes.accessfailurelog": "switched off",
    "axes.accesslog": "sign-ins are in the audit trail",
    "django_celery_beat.periodictasks": "tells beat of changes; a restore sets it anew",
    "django_celery_results.taskresult": "a log of runs, of no use to another installation",
    "django_celery_results.groupresult": "a log of runs, of no use to another installation",
    "django_celery_results.chordcounter": "belongs to runs that are over",
}

# Left out, and emptied by a restore: they would belong to whoever has the user's number then.
CLEARED: Final = ("sessions.session", "storage_app.signinsession")

# Tables that migrations and the first start fill, so that rows there are nobody's work.
SEEDED: Final = frozenset(
    {
        "auth.group",
        "auth.group_permissions",
        "django_celery_beat.solarschedule",
        "django_celery_beat.intervalschedule",
        "django_celery_beat.clockedschedule",
        "django_celery_beat.crontabschedule",
        "django_celery_beat.periodictask",
    }
)


def included() -> list[Model]:
    return _named(INCLUDED)


def cleared() -> list[Model]:
    return _named(CLEARED)


def _named(names: Sequence[str]) -> list[Model]:
    found = {label(model): model for model in relational()}
    return [found[name] for name in names]


def relational() -> list[Model]:
    """Return every model with a table in the relational database."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.app_label != "trades_app"
    ]


def label(model: Any) -> str:
    return str(model._meta.label_lower)
