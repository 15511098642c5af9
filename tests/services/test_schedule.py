from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from silverquant_site.celery import app
from storage_app.services import schedule
from trades_app.market.clock import SHANGHAI

INCREMENT = "Held-day increment"


@pytest.fixture
def increment(db):
    schedule.seed()
    return PeriodicTask.objects.get(name=INCREMENT)


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
    ("moment", "is_due"),
    [
        (datetime(2026, 3, 2, 8, 4, 50, tzinfo=SHANGHAI), False),
        (datetime(2026, 3, 2, 8, 5, 1, tzinfo=SHANGHAI), True),
        (datetime(2026, 2, 28, 8, 5, 1, tzinfo=SHANGHAI), False),
    ],
    ids=["ten seconds early", "Monday 08:05", "Saturday"],
)
def test_the_increment_is_due_at_five_past_eight_in_shanghai(increment, moment, is_due):
    crontab = increment.schedule
    crontab.app = app
    crontab.nowfun = lambda: moment

    assert crontab.is_due(moment - timedelta(hours=1)).is_due is is_due
