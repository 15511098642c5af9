"""Jobs that run now, as the dashboard shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from storage_app.admin import figures
from storage_app.models import JobRun, JobStatus, User
from storage_app.services.access import restrict_accounts

MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A run with how far it is, as far as it tells."""

    run: JobRun

    @property
    def name(self) -> str:
        return self.run.title

    @property
    def share(self) -> float | None:
        """What is done in percent; None of a step that does not tell how much there is."""
        return min(100.0, 100 * self.run.done / self.run.total) if self.run.total else None

    @property
    def lasts(self) -> str:
        return figures.duration((self.run.took or timedelta(0)).total_seconds())


def running_jobs(user: User) -> Sequence[RunningJob]:
    """Return the runs that a worker holds, within the accounts of a user."""
    rows = restrict_accounts(JobRun.objects.filter(status=JobStatus.RUNNING), user)
    return [RunningJob(run) for run in rows.defer("result", "options")[:MOST_SHOWN]]
