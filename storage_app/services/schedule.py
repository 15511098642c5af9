"""The jobs that beat runs, as rows that an administrator may change or switch off."""

from __future__ import annotations

from dataclasses import dataclass

from django_celery_beat.models import CrontabSchedule, PeriodicTask

from trades_app.market import clock


@dataclass(frozen=True, slots=True)
class Job:
    """`hour`, `minute` and `days` as in crontab, in Shanghai time, 1 being Monday.

    What no worker has taken after `expires` seconds is dropped.
    """

    name: str
    task: str
    hour: int | str = "*"
    minute: int | str = "*"
    days: str = "*"
    expires: int | None = None


JOBS = (
    # Holidays within the week are the task's own business: crontab knows none.
    Job("Held-day increment", "storage_app.age_books", hour=8, minute=5, days="1-5"),
    Job("Owed writes", "storage_app.drain_journals", expires=50),
    Job("Mirror of daily bars", "storage_app.mirror_klines", hour=2, minute=40),
    # Each day, since on a Friday a week may be too late.
    Job("Trading calendar", "storage_app.check_calendar", hour=8, minute=30),
    # Again each hour until the bars of the day are there.
    Job("Capital at the close", "storage_app.record_close", hour="15-21", minute=10, days="1-5"),
    Job("Quality of bars", "storage_app.check_klines", hour=17, minute=0, days="1-5"),
    # People change accounts and parameters at weekends, too.
    Job("Backup", "storage_app.backup", hour=18, minute=0),
    Job("Comparison of stores", "storage_app.verify", hour=20, minute=0),
    Job("Abandoned jobs", "storage_app.rescue_jobs", minute="*/5", expires=240),
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
        name=job.name,
        defaults={"task": job.task, "crontab": crontab, "expire_seconds": job.expires},
    )
    return bool(is_new)
