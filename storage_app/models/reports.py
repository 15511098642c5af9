from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ReportKind(models.TextChoices):
    IMPORT = "import", _("Import")
    VERIFY = "verify", _("Comparison of stores")
    KLINES = "klines", _("Quality of bars")
    BACKUP = "backup", _("Backup")
    RECONCILE = "reconcile", _("Broker reconcile")
    REPAIR = "repair", _("Repair of stores")


class Report(models.Model):
    """The stored outcome of a job: counts in `summary`, a row per finding in `findings`.

    A finding with an `account_id` is shown to whoever may see that account; one without, and the
    summary, to those who see all of them.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=ReportKind)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    is_clean = models.BooleanField(_("clean"), default=False)
    actor = models.CharField(_("started by"), max_length=150)
    summary = models.JSONField(_("summary"), default=dict)
    findings = models.JSONField(_("findings"), default=list)

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ("-started_at",)
        default_permissions = ("view",)
        permissions = (("repair_stores", _("Can compare and repair stores")),)

    def __str__(self) -> str:
        started_at = timezone.localtime(self.started_at)
        return f"{self.get_kind_display()} {started_at:%Y-%m-%d %H:%M}"
