"""Jobs that run now, as the dashboard shows them.

`running_jobs` is the seam: the panel takes any rows of RunningJob, wherever they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import states
from django.conf import settings
from django.utils import timezone
from django_celery_results.models import TaskResult

from storage_app.admin import figures

# What a task reports with `update_state`, its meta being {"done": 3, "total": 10}.
PROGRESS = "PROGRESS"
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job with its progress, as far as it tells."""

    name: str
    started_at: datetime | None
    done: int | None = None
    total: int | None = None

    @property
    def share(self) -> float | None:
        """What is done in percent; None of a job that does not tell."""
        if self.done is None or not self.total:
            return None
        return min(100.0, 100 * self.done / self.total)

    @property
    def lasts(self) -> str:
        if self.started_at is None:
            return figures.MISSING
        return figures.duration((timezone.now() - self.started_at).total_seconds())


def running_jobs() -> Sequence[RunningJob]:
    """Return the tasks that a worker works on; one that died is no longer among them."""
    since = timezone.now() - timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
    rows = TaskResult.objects.filter(
        status__in=(states.STARTED, PROGRESS), date_created__gte=since
    ).order_by("-date_created")
    return [_job(row) for row in rows[:MOST_SHOWN]]


def _job(row: TaskResult) -> RunningJob:
    told = _progress(row.result) if row.status == PROGRESS else {}
    name = row.periodic_task_name or row.task_name or row.task_id
    return RunningJob(
        name, row.date_started or row.date_created, told.get("done"), told.get("total")
    )


def _progress(text: str | None) -> dict[str, Any]:
    try:
        told = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    known = told.items() if isinstance(told, dict) else ()
    return {name: value for name, value in known if isinstance(value, int)}
