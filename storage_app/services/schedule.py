"""The jobs that beat runs, as rows that an administrator may change or switch off."""

from __future__ import annotations

from dataclasses import dataclass

from django_celery_beat.models import CrontabSchedule, PeriodicTask

from trades_app.market import clock


@dataclass(frozen=True, slots=True)
class Job:
    """`hour` and `minute` are Shanghai time; `days` as in crontab, 1 being Monday."""

    name: str
    task: str
    hour: int
    minute: int
    days: str = "1-5"


JOBS = (
    # Holidays within the week are the task's own business: crontab knows none.
    Job("Held-day increment", "storage_app.age_books", hour=8, minute=5),
)


def seed() -> list[str]:
    """Make the rows that are missing and leave the others as people set them; return the new."""
    return [job.name for job in JOBS if _seed(job)]


def _seed(job: Job) -> bool:
    crontab, _ = CrontabSchedule.objects.get_or_create(
        minute=str(job.minute),
        hour=str(job.hour),
        day_of_week=job.days,
        day_of_month="*",
        month_of_year="*",
        timezone=clock.SHANGHAI,
    )
    _, is_new = PeriodicTask.objects.get_or_create(
        name=job.name, defaults={"task": job.task, "crontab": crontab}
    )
    return bool(is_new)
