from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from silverquant_site.celery import app
from storage_app.services import schedule
from trades_app.market.clock import SHANGHAI

INCREMENT = "Held-day increment"


def seeded(name):
    schedule.seed()
    return PeriodicTask.objects.get(name=name)


@pytest.fixture
def increment(db):
    return seeded(INCREMENT)


def is_due(task, moment, last_run):
    crontab = task.schedule
    crontab.app = app
    crontab.nowfun = lambda: moment
    return crontab.is_due(last_run).is_due


def test_seeding_twice_adds_nothing(db):
    assert schedule.seed() == [job.name for job in schedule.JOBS]
    assert schedule.seed() == []


def test_what_a_person_changed_stays(increment):
    increment.enabled = False
    increment.save()

    schedule.seed()

    increment.refresh_from_db()
    assert not increment.enabled


def test_every_job_names_a_task_that_exists(db):
    app.autodiscover_tasks(force=True)

    assert {job.task for job in schedule.JOBS} <= set(app.tasks)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 3, 2, 8, 4, 50, tzinfo=SHANGHAI), False),
        (datetime(2026, 3, 2, 8, 5, 1, tzinfo=SHANGHAI), True),
        (datetime(2026, 2, 28, 8, 5, 1, tzinfo=SHANGHAI), False),
    ],
    ids=["ten seconds early", "Monday 08:05", "Saturday"],
)
def test_the_increment_is_due_at_five_past_eight_in_shanghai(increment, moment, expected):
    assert is_due(increment, moment, moment - timedelta(hours=1)) is expected


def test_owed_writes_are_drained_each_minute_and_never_late(db):
    job = seeded("Owed writes")
    sunday = datetime(2026, 3, 1, 3, 14, 2, tzinfo=SHANGHAI)
    assert is_due(job, sunday, sunday - timedelta(seconds=60))
    assert not is_due(job, sunday + timedelta(seconds=30), sunday)
    assert job.expire_seconds < 60


def test_bars_are_mirrored_once_a_night(db):
    job = seeded("Mirror of daily bars")
    night = datetime(2026, 3, 1, 2, 40, 1, tzinfo=SHANGHAI)
    assert is_due(job, night, night - timedelta(days=1))
    assert not is_due(job, night + timedelta(hours=12), night)


@pytest.mark.parametrize(
    ("name", "moment", "is_weekday_only"),
    [
        ("Capital at the close", datetime(2026, 3, 2, 15, 10, 1, tzinfo=SHANGHAI), True),
        ("Capital at the close", datetime(2026, 3, 2, 18, 10, 1, tzinfo=SHANGHAI), True),
        ("Quality of bars", datetime(2026, 3, 2, 17, 0, 1, tzinfo=SHANGHAI), True),
        ("Backup", datetime(2026, 3, 2, 18, 0, 1, tzinfo=SHANGHAI), False),
        ("Comparison of stores", datetime(2026, 3, 2, 20, 0, 1, tzinfo=SHANGHAI), False),
        ("Trading calendar", datetime(2026, 3, 2, 8, 30, 1, tzinfo=SHANGHAI), False),
    ],
)
def test_jobs_of_the_night_are_due_at_their_time_in_shanghai(db, name, moment, is_weekday_only):
    job = seeded(name)
    assert str(job.crontab.timezone) == "Asia/Shanghai"
    assert is_due(job, moment, moment - timedelta(minutes=30))
    assert not is_due(job, moment - timedelta(seconds=10), moment - timedelta(minutes=30))
    sunday = moment - timedelta(days=1)
    assert is_due(job, sunday, sunday - timedelta(minutes=30)) is not is_weekday_only
