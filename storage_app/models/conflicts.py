from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class TradeConflict(models.Model):
    """A trade that a host acknowledged while the ledger had another one of the same identity.

    The ledger keeps what it had; `offered` is the row that was refused, for a person to compare.
    """

    trade_uid = models.CharField(_("trade uid"), max_length=36)
    account_id = models.CharField(_("account number"), max_length=50, db_index=True)
    trade_date = models.DateField(_("trade date"))
    code = models.CharField(_("code"), max_length=10)
    offered = models.JSONField(_("refused row"))
    reason = models.CharField(_("difference"), max_length=500)
    origin = models.CharField(_("from"), max_length=150)
    found_at = models.DateTimeField(_("found at"), auto_now_add=True, db_index=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=150, blank=True)
    resolution = models.CharField(_("resolution"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("trade conflict")
        verbose_name_plural = _("trade conflicts")
        ordering = ("-found_at",)
        indexes = (models.Index(fields=("trade_uid",), name="trade_conflict_uid"),)
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.account_id} {self.trade_date} {self.code}"
