from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from storage_app.models.accounts import masked
from storage_app.models.audited import KeptModel


class ConflictResolution(models.TextChoices):
    KEPT = "kept", _("The ledger's row was kept")
    TAKEN = "taken", _("The refused row took its place")
    BOTH = "both", _("Both were recorded")


class TradeConflict(KeptModel):
    """A trade that a host acknowledged while the ledger had another one of the same identity.

    The ledger keeps what it had until a person decides. `offered` is the row that was refused,
    `standing` the ledger's as it was at the decision, both as documents of
    `contract.trade_documents`.
    """

    trade_uid = models.CharField(_("trade uid"), max_length=36)
    account_id = models.CharField(_("account number"), max_length=50, db_index=True)
    trade_date = models.DateField(_("trading date"))
    code = models.CharField(_("code"), max_length=10)
    offered = models.JSONField(_("refused row"))
    # Two rows that were refused for one identity are two conflicts.
    offered_digest = models.CharField(max_length=32, editable=False)
    reason = models.CharField(_("difference"), max_length=500)
    origin = models.CharField(_("from"), max_length=150)
    found_at = models.DateTimeField(_("found at"), auto_now_add=True, db_index=True)
    standing = models.JSONField(_("ledger's row"), null=True, blank=True)
    resolution = models.CharField(
        _("resolution"), max_length=10, choices=ConflictResolution, blank=True
    )
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=150, blank=True)
    why = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("trade conflict")
        verbose_name_plural = _("trade conflicts")
        ordering = ("-found_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("trade_uid", "offered_digest"), name="conflict_once_per_refused_row"
            ),
        )
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{masked(self.account_id)} {self.trade_date} {self.code}"

    @property
    def is_resolved(self) -> bool:
        return self.resolved_at is not None

    @property
    def audit_key(self) -> str:
        return f"{self} {self.trade_uid}"
