from __future__ import annotations

import pytest
from django_celery_results.models import TaskResult

from storage_app import create_data_store
from storage_app.backup.making import list_backups
from storage_app.imports import runs
from storage_app.imports.runs import Wish
from storage_app.models import JobRun, JobStatus, Report
from storage_app.services.actors import person
from storage_app.tasks import run_import
from tests.factories import make_account, make_superuser
from tests.jobs import night
from tests.test_architecture import ROOT
from trades_app.market import calendar, clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

DAILY = {"age_books", "record_close", "check_klines", "backup", "verify"}


@pytest.fixture
def platform(redis, clickhouse, data_dir, settings):
    redis.flushall()
    settings.IMPORT_ROOT = ROOT / "demo"
    make_account("10000001")
    store = create_data_store("redis")
    store.update_held_days("600000.SH", 3, "10000001")
    store.close()
    return data_dir


def test_worker_and_two_beats_do_a_whole_night_once(platform):
    """Every job is asked for again and again, by two, and done once, its result to be seen."""
    night.schedule()
    started = runs.start(person(make_superuser()), Wish("10000001", path="silverquant"))
    is_open = calendar.is_trading_day(clock.today())
    with night.running():
        run_import.delay(started.pk)
        night.wait_for(lambda: {run.job for run in JobRun.objects.all()} >= DAILY)
        night.wait_for(
            lambda: all(run.is_over or run.job == "record_close" for run in JobRun.objects.all())
        )
        asked = TaskResult.objects.filter(task_name="storage_app.backup", status="SUCCESS")
        night.wait_for(lambda: asked.count() >= 3)

    found = {run.job: run for run in JobRun.objects.all()}
    assert len(found) == JobRun.objects.count() == len(DAILY) + 1
    assert found["run_import"].status == JobStatus.DONE
    for name in ("backup", "verify"):
        assert (found[name].status, found[name].attempts) == (JobStatus.DONE, 1), found[
            name
        ].message
    for name in ("age_books", "check_klines"):
        expected = JobStatus.DONE if is_open else JobStatus.SKIPPED
        assert found[name].status == expected, found[name].message
    assert len(list_backups(platform)) == 1
    assert Report.objects.filter(kind="backup").count() == 1
    assert Report.objects.filter(kind="verify").count() == 1
    held = create_data_store("redis").get_held_days("600000.SH", "10000001")
    assert held == (4 if is_open else 3)
    said = {one.result for one in asked}
    assert sum('"done"' in text for text in said) == 1
    assert any("passed over" in text for text in said)
