"""What Celery runs; each task calls one function of a lower layer."""

from __future__ import annotations

from celery import shared_task
from django.db.utils import OperationalError

from storage_app import create_data_store
from storage_app.contract.errors import StorageError
from storage_app.stores.aging import age_books as age

# 30 s, 1, 2, 4, 8 and then every 10 minutes: an hour of outage is bridged.
RETRY = {
    "autoretry_for": (StorageError, OperationalError),
    "retry_backoff": 30,
    "retry_jitter": False,
    "retry_kwargs": {"max_retries": 10},
}


@shared_task(name="storage_app.age_books", **RETRY)
def age_books() -> list[str]:
    return age(create_data_store("hybrid"))
