"""What Celery runs; each task calls one function of a lower layer."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.db.utils import OperationalError

from storage_app.contract.errors import StorageError
from storage_app.services import trading_calendar
from storage_app.stores import kline_mirror
from storage_app.stores.aging import age_books as age
from storage_app.stores.compose import open_platform_store
from storage_app.stores.draining import drain

# 30 s, 1, 2, 4, 8 and then every 10 minutes: an hour of outage is bridged.
RETRY = {
    "autoretry_for": (StorageError, OperationalError),
    "retry_backoff": 30,
    "retry_jitter": False,
    "retry_kwargs": {"max_retries": 10},
}
# Less than the minute after which the next run begins.
DRAIN_SECONDS = 45.0


@shared_task(name="storage_app.age_books", **RETRY)
def age_books() -> list[str]:
    return age(open_platform_store())


# Each minute, so that the next run is the retry; only failures are worth a row.
@shared_task(
    name="storage_app.drain_journals", ignore_result=True, store_errors_even_if_ignored=True
)
def drain_journals() -> dict[str, int]:
    left = drain(settings.DATA_DIR, timeout=DRAIN_SECONDS)
    return {kind: one.count for kind, one in left.items()}


@shared_task(name="storage_app.mirror_klines", **RETRY)
def mirror_klines() -> dict[str, int]:
    if not settings.ENABLE_DUAL_WRITE:
        return {}
    return kline_mirror.refresh(settings.DATA_DIR).written


@shared_task(name="storage_app.check_calendar")
def check_calendar() -> int:
    return trading_calendar.check_calendar()
