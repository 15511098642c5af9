from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from storage_app.models.audited import WrittenOnceModel


class AuditAction(models.TextChoices):
    CREATE = "create", _("Created")
    CHANGE = "change", _("Changed")
    DELETE = "delete", _("Deleted")
    ACTIVATE = "activate", _("Activated")
    STATUS = "status", _("Status changed")
    IMPORT = "import", _("Imported")
    REPAIR = "repair", _("Repaired")
    LOGIN = "login", _("Signed in")
    APPROVE = "approve", _("Approved")
    REJECT = "reject", _("Rejected")


class AuditEntry(WrittenOnceModel):
    """Who changed what, when, why and from where; written once, read only."""

    at = models.DateTimeField(_("at"), auto_now_add=True, db_index=True)
    # As text, so that the entry outlives the user and the object.
    actor = models.CharField(_("who"), max_length=150)
    action = models.CharField(_("action"), max_length=10, choices=AuditAction)
    entity = models.CharField(_("entity"), max_length=50)
    entity_key = models.CharField(_("key"), max_length=200)
    account_id = models.CharField(_("account number"), max_length=50, blank=True, db_index=True)
    before = models.JSONField(_("before"), null=True, blank=True)
    after = models.JSONField(_("after"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    origin = models.CharField(
        _("from"), max_length=100, blank=True, help_text=_("Address, command or host.")
    )

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ("-id",)
        indexes = (models.Index(fields=("entity", "entity_key"), name="audit_entity_key"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        at = timezone.localtime(self.at)
        return f"{at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.entity}"
