"""A job is done once a day, by one worker, whoever asks for it how often."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from storage_app import alerts, tasks
from storage_app.backup import unfinished
from storage_app.contract.errors import Conflict, Unavailable
from storage_app.models import JobRun, JobStatus
from storage_app.services import jobs
from tests.receivers import receiver as receiver
from trades_app.market import clock
from trades_app.market.clock import SHANGHAI

MONDAY = datetime(2026, 3, 2, 18, 0, tzinfo=SHANGHAI)
SUNDAY = MONDAY - timedelta(days=1)


@pytest.fixture
def monday():
    with clock.pinned(MONDAY):
        yield MONDAY.date()


def count_up(total):
    def work(watch):
        for number in range(1, total + 1):
            watch.step("rows", number, total, "rows")
        return {"rows": total}

    return work


def claim_one(day, serial):
    """Run in another process: claim the same job at the same moment."""
    return jobs.claim_day("race", day).run is not None


@pytest.mark.django_db(transaction=True)
def test_many_workers_that_ask_at_once_do_it_once(children):
    outcomes = children.race(claim_one, MONDAY.date())
    assert [one.error for one in outcomes if one.error] == []
    assert sum(one.value for one in outcomes) == 1
    assert JobRun.objects.get().attempts == 1


@pytest.mark.django_db
def test_what_is_done_stays_done_until_tomorrow(monday):
    assert jobs.run_daily("rows", count_up(3)) == {"status": "done", "result": {"rows": 3}}
    again = jobs.run_daily("rows", count_up(3))
    assert again == {"status": "passed over", "reason": "it is done already"}
    run = JobRun.objects.get()
    assert (run.day, run.attempts, run.done, run.total) == (monday, 1, 3, 3)
    assert run.finished_at >= run.started_at
    with clock.pinned(MONDAY + timedelta(days=1)):
        assert jobs.run_daily("rows", count_up(1))["status"] == "done"


@pytest.mark.django_db
def test_a_day_without_trading_does_nothing_and_says_so():
    with clock.pinned(SUNDAY):
        done = jobs.run_daily("rows", count_up(1), trading_days_only=True)
    assert done == {"status": "skipped", "reason": "2026-03-01 is not a trading day"}
    run = JobRun.objects.get()
    assert (run.status, run.message) == (JobStatus.SKIPPED, "2026-03-01 is not a trading day")
    assert run.started_at is None


@pytest.mark.django_db
def test_a_worker_at_work_keeps_others_out_and_a_dead_one_does_not(monday):
    first = jobs.claim_day("rows", monday).run
    assert jobs.claim_day("rows", monday).reason == f"{first.holder} is at it"
    JobRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    second = jobs.claim_day("rows", monday).run
    assert second.attempts == 2
    # The first one was only slow: it may neither go on nor say that it has done it.
    with pytest.raises(jobs.LeaseLost):
        jobs.perform(first, count_up(1))
    assert JobRun.objects.get().holder == second.holder
    assert jobs.perform(second, count_up(1))["status"] == "done"


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_extended_while_the_work_says_nothing(monday, monkeypatch):
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    run = jobs.claim_day("slow", monday).run
    before = run.lease_until
    extended = threading.Event()

    def work(watch):
        deadline = timezone.now() + timedelta(seconds=20)
        while timezone.now() < deadline and not extended.wait(0.02):
            if JobRun.objects.get().lease_until > before:
                extended.set()

    jobs.perform(run, work)
    assert extended.is_set()


@pytest.mark.django_db
def test_failure_is_written_down_told_to_people_and_may_be_tried_again(monday, receiver):
    def fail(watch):
        raise Unavailable("clickhouse", "no route")

    with pytest.raises(Unavailable):
        jobs.run_daily("rows", fail)
    run = JobRun.objects.get()
    assert (run.status, run.message) == (
        JobStatus.FAILED,
        "Unavailable: clickhouse is unavailable: no route",
    )
    assert jobs.run_daily("rows", count_up(1))["status"] == "done"
    assert JobRun.objects.get().attempts == 2
    assert alerts.flush(60)
    assert len(receiver.messages) == 2
    assert "rows" in receiver.titles[0]
    assert "no route" in receiver.messages[0]["message"]


@pytest.mark.django_db
def test_cancel_ends_a_run_between_two_batches(monday, monkeypatch):
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.0)
    seen = []

    def work(watch):
        for number in range(1, 10):
            if number == 3:
                JobRun.objects.update(wants_cancel=True)
            seen.append(number)
            watch.step("rows", number, 9)

    done = jobs.run_daily("rows", work)
    assert done["status"] == "cancelled"
    assert seen == [1, 2, 3]
    run = JobRun.objects.get()
    assert (run.status, run.done, run.wants_cancel) == (JobStatus.CANCELLED, 3, False)


@pytest.mark.django_db
def test_what_a_dead_worker_left_is_asked_for_again(monday, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.current_app, "send_task", lambda *names: asked.append(names))
    jobs.claim_day("backup", monday)
    assert tasks.rescue_jobs() == []
    JobRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert tasks.rescue_jobs() == [f"asked for backup {monday}"]
    assert asked == [("storage_app.backup", [])]
    with clock.pinned(MONDAY + timedelta(days=1)):
        assert tasks.rescue_jobs() == [f"gave up backup {monday}"]
    assert JobRun.objects.get().status == JobStatus.FAILED


@pytest.mark.django_db
def test_no_job_touches_a_platform_that_is_half_restored(monday, data_dir):
    unfinished.begin(data_dir, data_dir / "backups" / "20260101-180000", ["market"])
    with pytest.raises(Conflict, match="has not ended"):
        tasks.backup.run()
    assert not JobRun.objects.exists()


def test_broker_waits_longer_than_the_longest_task_may_take():
    timeout = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    assert timeout > settings.CELERY_TASK_TIME_LIMIT
    assert jobs.LEASE.total_seconds() > 3 * jobs.BEAT_SECONDS
