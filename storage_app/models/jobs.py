from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class JobStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    PENDING = "pending", _("To be asked again")
    DONE = "done", _("Done")
    SKIPPED = "skipped", _("Nothing to do")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


# What people call a job; its code is the name of the task.
TITLES = {
    "age_books": _("Held-day increment"),
    "record_close": _("Capital at the close"),
    "check_klines": _("Quality of bars"),
    "backup": _("Backup"),
    "verify": _("Comparison of stores"),
    "run_import": _("Import"),
}


class JobRun(models.Model):
    """A job of one trading date, which at most one worker does; or an import that a person began.

    `holder` may work while `lease_until` lies ahead, and says so again and again.
    """

    job = models.CharField(_("job"), max_length=50)
    day = models.DateField(_("day"))
    # Empty for what is scheduled, else what tells the runs of a day apart.
    slot = models.CharField(max_length=32, blank=True, default="")
    status = models.CharField(
        _("status"), max_length=10, choices=JobStatus, default=JobStatus.WAITING
    )
    holder = models.CharField(_("worker"), max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    step = models.CharField(_("step"), max_length=100, blank=True)
    done = models.BigIntegerField(_("done so far"), default=0)
    total = models.BigIntegerField(_("in total"), null=True, blank=True)
    unit = models.CharField(max_length=30, blank=True)
    # Of the step under way, for its rate.
    step_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(_("message"), blank=True)
    result = models.JSONField(_("result"), null=True, blank=True)
    wants_cancel = models.BooleanField(_("to be cancelled"), default=False)
    actor = models.CharField(_("started by"), max_length=150, blank=True)
    account_id = models.CharField(_("account number"), max_length=50, blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        ordering = ("-created_at", "-id")
        default_permissions = ("view", "add", "change")
        constraints = (
            models.UniqueConstraint(fields=("job", "day", "slot"), name="job_run_once_per_day"),
        )

    def __str__(self) -> str:
        return f"{self.title} {self.day}"

    @property
    def title(self) -> str:
        return str(TITLES.get(self.job, self.job))

    @property
    def audit_key(self) -> str:
        return f"{self.job} {self.day} {self.slot}".strip()

    @property
    def is_over(self) -> bool:
        return self.status not in (JobStatus.WAITING, JobStatus.RUNNING, JobStatus.PENDING)

    @property
    def took(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at
