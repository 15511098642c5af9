"""What Celery runs; each task calls one function of a lower layer.

What brings pandas or pyarrow is imported by the task that needs it: beat loads this module as well,
and would carry a hundred megabytes for nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import current_app, shared_task
from django.conf import settings
from django.db.utils import OperationalError

from storage_app.backup import unfinished
from storage_app.contract.errors import StorageError
from storage_app.models import JobRun
from storage_app.services import actors, jobs, trading_calendar
from storage_app.services.findings import told
from storage_app.services.jobs import Outcome
from storage_app.stores.aging import age_books as age
from storage_app.stores.compose import open_platform_store
from storage_app.stores.draining import drain
from trades_app.market import clock

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
def age_books() -> Outcome:
    return _daily("age_books", lambda watch: _aged(), trading_days_only=True)


# Each minute, so that the next run is the retry; only failures are worth a row.
@shared_task(
    name="storage_app.drain_journals", ignore_result=True, store_errors_even_if_ignored=True
)
def drain_journals() -> dict[str, int]:
    left = drain(settings.DATA_DIR, timeout=DRAIN_SECONDS)
    return {kind: one.count for kind, one in left.items()}


@shared_task(name="storage_app.mirror_klines", **RETRY)
def mirror_klines() -> dict[str, int]:
    from storage_app.stores import kline_mirror

    if not settings.ENABLE_DUAL_WRITE:
        return {}
    return kline_mirror.refresh(settings.DATA_DIR).written


@shared_task(name="storage_app.check_calendar")
def check_calendar() -> int:
    return trading_calendar.check_calendar()


@shared_task(name="storage_app.record_close", **RETRY)
def record_close() -> Outcome:
    return _daily("record_close", lambda watch: _recorded(), trading_days_only=True)


@shared_task(name="storage_app.backup", **RETRY)
def backup() -> Outcome:
    from storage_app.backup.making import back_up

    actor = actors.job("backup")
    return _daily("backup", lambda watch: back_up(settings.DATA_DIR, actor, watch=watch).as_json())


@shared_task(name="storage_app.verify", **RETRY)
def verify() -> Outcome:
    from storage_app.verify import comparing
    from storage_app.verify.scope import Scope

    work = partial(comparing.run, actors.job("verify"), Scope())
    return _daily("verify", lambda watch: told(work(watch)))


@shared_task(name="storage_app.check_klines", **RETRY)
def check_klines() -> Outcome:
    from storage_app.verify import bar_quality

    work = partial(bar_quality.run, actors.job("check_klines"), bar_quality.BarScope())
    return _daily("check_klines", lambda watch: told(work(watch)), trading_days_only=True)


# Without a retry: a person watches it, and may begin it again.
@shared_task(name="storage_app.run_import")
def run_import(number: int) -> Outcome:
    from storage_app.imports import runs

    return runs.perform(number)


@shared_task(name="storage_app.rescue_jobs", ignore_result=True)
def rescue_jobs() -> list[str]:
    return [_rescue(run) for run in jobs.abandoned()]


def _daily(job: str, work: jobs.Work, *, trading_days_only: bool = False) -> Outcome:
    """Keep jobs away from databases that are half restored."""
    unfinished.refuse(settings.DATA_DIR)
    return jobs.run_daily(job, work, trading_days_only=trading_days_only)


def _aged() -> list[str]:
    store = open_platform_store()
    try:
        return age(store)
    finally:
        store.close()


def _recorded() -> list[Any]:
    from storage_app.stores import closing

    store = open_platform_store()
    try:
        found = closing.record_close(store, actors.job("record_close"))
    finally:
        store.close()
    result = [one.as_json() for one in found]
    pending = [one.account_id for one in found if one.is_pending]
    if pending:
        raise jobs.Incomplete(f"not known yet: {', '.join(pending)}", result)
    return result


def _rescue(run: JobRun) -> str:
    """Ask again for what a dead worker has left, unless its day is over."""
    if run.day < clock.today() or run.attempts >= jobs.MOST_ATTEMPTS:
        jobs.give_up(run)
        return f"gave up {run.job} {run.day}"
    current_app.send_task(f"storage_app.{run.job}", [run.pk] if run.slot else [])
    return f"asked for {run.job} {run.day}"
