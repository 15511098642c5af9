"""Jobs that one worker does once a day, however often beat and the broker ask for them.

A row says who is at it and until when that is to be believed: the worker extends its lease while
it lives, so what a dead one left is free after `LEASE`. A job that is done stays done for the
day; one that failed may be tried again.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from storage_app import alerts
from storage_app.contract.errors import Conflict
from storage_app.contract.watching import Cancelled, Progress, Watch
from storage_app.models import JobRun, JobStatus
from trades_app.market import calendar, clock

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=120)
BEAT_SECONDS: Final = 30.0
# Between two looks at the flag, and two notes of how far the job is.
WATCH_SECONDS: Final = 1.0
# A run that has killed so many workers is left to a person.
MOST_ATTEMPTS: Final = 5

Outcome = dict[str, Any]
Work = Callable[[Watch], Any]


class LeaseLost(Exception):
    """Another worker has taken the job over, since this one was silent for too long."""


class Incomplete(Exception):
    """The job has done what it could and shall be asked again later today."""

    def __init__(self, reason: str, result: Any = None) -> None:
        self.result = result
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a job now, or the reason why there is none."""

    run: JobRun | None
    reason: str = ""


def run_daily(job: str, work: Work, *, trading_days_only: bool = False) -> Outcome:
    """Do the job of today unless it is done or somebody is at it; say what happened."""
    day = clock.today()
    if trading_days_only and not calendar.is_trading_day(day):
        return _note_closed_day(job, day)
    claim = claim_day(job, day)
    if claim.run is None:
        logger.info("%s of %s: %s", job, day, claim.reason)
        return {"status": "passed over", "reason": claim.reason}
    return perform(claim.run, work)


def claim_day(job: str, day: date, slot: str = "") -> Claim:
    JobRun.objects.get_or_create(job=job, day=day, slot=slot)
    return claim(JobRun.objects.filter(job=job, day=day, slot=slot))


def claim(rows: Any) -> Claim:
    """Take a run for this worker if it is free."""
    with transaction.atomic():
        run = rows.select_for_update().get()
        reason = _reason_against(run)
        if reason:
            return Claim(None, reason)
        run.status = JobStatus.RUNNING
        run.holder = _holder()
        run.lease_until = timezone.now() + LEASE
        run.attempts += 1
        run.started_at, run.finished_at = timezone.now(), None
        run.message, run.step, run.done, run.total, run.result = "", "", 0, None, None
        run.save()
    return Claim(run)


def _reason_against(run: JobRun) -> str:
    if run.status in (JobStatus.DONE, JobStatus.SKIPPED, JobStatus.CANCELLED):
        return f"it is {run.status} already"
    if run.status == JobStatus.RUNNING and not _is_expired(run):
        return f"{run.holder} is at it"
    return ""


def _is_expired(run: JobRun) -> bool:
    return run.lease_until is None or run.lease_until < timezone.now()


def perform(run: JobRun, work: Work) -> Outcome:
    """Do the work of a claimed run and write down how it ended; errors are told and raised."""
    watch = Watch(_Noting(run), lambda: _wants_cancel(run)).every(WATCH_SECONDS)
    try:
        with _keeping_lease(run):
            result = work(watch)
    except Cancelled as exc:
        return _finish(run, JobStatus.CANCELLED, str(exc))
    except Incomplete as exc:
        return _finish(run, JobStatus.PENDING, str(exc), exc.result)
    except Exception as exc:
        # Whatever it was, the row says so and people hear of it.
        _fail(run, exc)
        raise
    alerts.recovered(_key(run), format_lazy(_("The job {job} runs again"), job=run.title))
    return _finish(run, JobStatus.DONE, "", result)


def _fail(run: JobRun, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    logger.error("Job %s of %s failed: %s", run.job, run.day, reason)
    try:
        _finish(run, JobStatus.FAILED, reason)
    except DatabaseError:
        logger.exception("The end of job %s could not be noted", run.job)
    title = format_lazy(_("The job {job} failed"), job=run.title)
    alerts.send(_key(run), title, reason, standing=True)


def _key(run: JobRun) -> str:
    return f"job {run.job}"


def _finish(run: JobRun, status: JobStatus, message: str, result: Any = None) -> Outcome:
    # What a run that ended early has written of its result stays.
    known = {} if result is None else {"result": result}
    found = _own(run).update(
        status=status,
        message=message,
        **known,
        finished_at=timezone.now(),
        lease_until=None,
        wants_cancel=False,
    )
    if not found:
        raise LeaseLost(f"{run.audit_key} has been taken over")
    outcome: Outcome = {"status": str(status)}
    if message:
        outcome["reason"] = message
    if result is not None:
        outcome["result"] = result
    return outcome


def _note_closed_day(job: str, day: date) -> Outcome:
    reason = f"{day} is not a trading day"
    JobRun.objects.get_or_create(
        job=job, day=day, slot="", defaults={"status": JobStatus.SKIPPED, "message": reason}
    )
    logger.info("%s does nothing: %s", job, reason)
    return {"status": "skipped", "reason": reason}


def abandoned() -> list[JobRun]:
    """Return runs of today and yesterday whose worker died, or whose task nobody ever took."""
    now = timezone.now()
    left = Q(status=JobStatus.RUNNING, lease_until__lt=now) | Q(
        status=JobStatus.WAITING, created_at__lt=now - LEASE
    )
    since = clock.today() - timedelta(days=1)
    return list(JobRun.objects.filter(left, day__gte=since))


def request_cancel(run: JobRun) -> None:
    """Ask a run to stop; Conflict when it is over. One that nobody has begun is over at once."""
    if run.is_over:
        raise Conflict(f"{run} is over already: {run.get_status_display()}")
    if run.status == JobStatus.WAITING:
        run.status, run.finished_at = JobStatus.CANCELLED, timezone.now()
    run.wants_cancel = run.status == JobStatus.RUNNING
    run.save()


def give_up(run: JobRun) -> None:
    """Note that nobody will finish a run whose day is over."""
    JobRun.objects.filter(pk=run.pk, holder=run.holder).update(
        status=JobStatus.FAILED, message="its worker died", finished_at=timezone.now()
    )


def _wants_cancel(run: JobRun) -> bool:
    flag = _own(run).values_list("wants_cancel", flat=True).first()
    if flag is None:
        raise LeaseLost(f"{run.audit_key} has been taken over")
    return bool(flag)


def _own(run: JobRun) -> Any:
    return JobRun.objects.filter(pk=run.pk, holder=run.holder)


class _Noting:
    """Write how far the run is into its row."""

    def __init__(self, run: JobRun) -> None:
        self._run = run
        self._step = ""

    def __call__(self, progress: Progress) -> None:
        now = timezone.now()
        values: dict[str, Any] = {
            "step": progress.step[:100],
            "done": progress.done,
            "total": progress.total,
            "unit": progress.unit[:30],
        }
        if progress.step != self._step:
            self._step, values["step_at"] = progress.step, now
        _own(self._run).update(**values, lease_until=now + LEASE)


@contextmanager
def _keeping_lease(run: JobRun) -> Iterator[None]:
    """Extend the lease while the block runs, also through steps that report nothing for long."""
    ended = threading.Event()

    def extend() -> None:
        try:
            while not ended.wait(BEAT_SECONDS):
                try:
                    _own(run).update(lease_until=timezone.now() + LEASE)
                except DatabaseError as exc:
                    logger.warning("The lease of %s could not be extended: %s", run.job, exc)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=extend, name=f"lease of {run.job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _holder() -> str:
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
