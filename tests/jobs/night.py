"""A night in a quarter of a minute: a real beat and a real worker on short intervals."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from tests import servers
from tests.test_architecture import ROOT

TASKS = (
    "age_books",
    "record_close",
    "check_klines",
    "backup",
    "verify",
    "drain_journals",
    "check_calendar",
    "mirror_klines",
    "rescue_jobs",
)
# Two of each, as if two beats had been started by mistake.
BEATS = 2


def schedule(seconds=4):
    """Have beat ask for each job again and again."""
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    PeriodicTask.objects.all().delete()
    every, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    for name in TASKS:
        PeriodicTask.objects.create(
            name=name,
            task=f"storage_app.{name}",
            interval=every,
            # A machine that is busy with something else does not run into a backlog.
            expire_seconds=3 * seconds,
        )


def environment():
    from django.db import connections

    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    own = os.environ | {"CLICKHOUSE_DATABASE": names["clickhouse"], "TZ": "Asia/Shanghai"}
    if "mysql" in connections["default"].settings_dict["ENGINE"]:
        own["MYSQL_DATABASE"] = names["default"]
    return own


@contextmanager
def running():
    """Run a worker of two threads and two beats, and end them."""
    celery = [sys.executable, "-m", "tests.jobs.celery_program"]
    worker = [*celery, "worker", "--pool", "threads", "--concurrency", "2", "--without-mingle",
              "--without-gossip", "--loglevel", "WARNING"]  # fmt: skip
    beat = [*celery, "beat", "--pidfile=", "--max-interval", "1", "--loglevel", "WARNING"]
    log = (servers.BASE / "night.log").open("ab")
    programs = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log)
        for command in (worker, *[beat] * BEATS)
    ]
    try:
        yield programs
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        log.close()


def wait_for(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            tail = (servers.BASE / "night.log").read_text(errors="replace")[-4000:]
            raise AssertionError(f"not in time; the programs said:\n{tail}")
        time.sleep(0.1)
