from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from storage_app.contract import rules, types
from storage_app.models.audited import AuditedModel, KeptModel
from storage_app.models.fields import CollatedCharField

SHOWN_DIGITS = 4


def masked(number: str) -> str:
    """Return an account number of which the last digits are left: ****9728-paper."""
    digits, dash, twin = number.partition("-")
    return f"{'*' * SHOWN_DIGITS}{digits[-SHOWN_DIGITS:]}{dash}{twin}"


class AccountStatus(models.TextChoices):
    ACTIVE = types.AccountStatus.ACTIVE.value, _("Active")
    INACTIVE = types.AccountStatus.INACTIVE.value, _("Retired")
    SUSPENDED = types.AccountStatus.SUSPENDED.value, _("Suspended")


class Environment(models.TextChoices):
    LIVE = types.Environment.LIVE.value, _("Live")
    PAPER = types.Environment.PAPER.value, _("Paper")


class Broker(models.TextChoices):
    QMT = types.Broker.QMT.value, "QMT"
    GM = types.Broker.GM.value, _("GM (掘金)")
    TDX = types.Broker.TDX.value, _("TDX (通达信)")


class BindingStatus(models.TextChoices):
    ACTIVE = rules.BindingStatus.ACTIVE.value, _("Active")
    PAUSED = rules.BindingStatus.PAUSED.value, _("Paused")


class Account(KeptModel):
    """A broker account; never deleted, only retired."""

    # Numbers that differ in case only would share a directory on Windows, so none is unique.
    account_id = CollatedCharField(
        _("account number"),
        collations={"mysql": "utf8mb4_unicode_ci", "sqlite": "NOCASE"},
        max_length=50,
        unique=True,
        validators=[RegexValidator(rf"\A{rules.ACCOUNT_ID_PATTERN}\Z")],
        help_text=_("6 to 50 letters, digits, '-' or '_'; the paper twin is NUMBER-paper."),
    )
    account_name = models.CharField(_("name"), max_length=100)
    broker = models.CharField(_("broker"), max_length=10, choices=Broker)
    environment = models.CharField(
        _("environment"), max_length=10, choices=Environment, default=Environment.LIVE
    )
    status = models.CharField(
        _("status"), max_length=10, choices=AccountStatus, default=AccountStatus.ACTIVE
    )
    initial_capital = models.DecimalField(
        _("initial capital"),
        validators=[MinValueValidator(Decimal("0.01"))],
        max_digits=20,
        decimal_places=2,
    )
    current_capital = models.DecimalField(
        _("cash"), null=True, blank=True, max_digits=20, decimal_places=2
    )
    total_assets = models.DecimalField(
        _("total assets"), null=True, blank=True, max_digits=20, decimal_places=2
    )
    position_value = models.DecimalField(
        _("position value"), null=True, blank=True, max_digits=20, decimal_places=2
    )
    capital_at = models.DateTimeField(_("capital as of"), null=True, blank=True, editable=False)
    is_demo = models.BooleanField(
        _("demo"), default=False, help_text=_("Demo accounts are left out of scheduled jobs.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ("account_id",)
        default_permissions = ("add", "change", "view")
        permissions = (
            ("execute_trade", _("Can record trades and move positions")),
            ("view_account_number", _("Can see whole account numbers")),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(initial_capital__gt=0), name="account_initial_capital_positive"
            ),
        )

    def __str__(self) -> str:
        # Everybody may read this; pages write the number whole for those who may see it.
        return f"{self.account_name} ({masked(self.account_id)})"

    @property
    def audit_key(self) -> str:
        return self.account_id


class AccountSnapshot(models.Model):
    """Capital of an account at the end of a trading day; the equity curve."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="snapshots", verbose_name=_("account")
    )
    trade_date = models.DateField(_("trading date"))
    total_assets = models.DecimalField(_("total assets"), max_digits=20, decimal_places=2)
    current_capital = models.DecimalField(
        _("cash"), null=True, blank=True, max_digits=20, decimal_places=2
    )
    position_value = models.DecimalField(
        _("position value"), null=True, blank=True, max_digits=20, decimal_places=2
    )
    source = models.CharField(_("source"), max_length=20, default="trader")
    recorded_at = models.DateTimeField(_("recorded at"))

    class Meta:
        verbose_name = _("daily snapshot")
        verbose_name_plural = _("daily snapshots")
        ordering = ("account", "-trade_date")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(
                fields=("account", "trade_date"), name="snapshot_once_per_account_and_day"
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.trade_date}"


class AccountStrategy(AuditedModel):
    """A strategy at work in an account, with its share of the capital."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="bindings", verbose_name=_("account")
    )
    strategy = models.ForeignKey(
        "storage_app.Strategy",
        on_delete=models.PROTECT,
        related_name="bindings",
        verbose_name=_("strategy"),
    )
    allocated_capital = models.DecimalField(_("allocated capital"), max_digits=20, decimal_places=2)
    risk_limit = models.DecimalField(
        _("risk limit (%)"),
        max_digits=5,
        decimal_places=2,
        default=Decimal(100),
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("Percent of the allocated capital, 0 to 100."),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=BindingStatus, default=BindingStatus.ACTIVE
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("strategy binding")
        verbose_name_plural = _("strategy bindings")
        ordering = ("account", "strategy")
        constraints = (
            models.UniqueConstraint(
                fields=("account", "strategy"), name="binding_once_per_account_and_strategy"
            ),
            models.CheckConstraint(
                condition=models.Q(allocated_capital__gt=0), name="binding_capital_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(risk_limit__gte=0, risk_limit__lte=100),
                name="binding_risk_limit_percent",
            ),
        )

    def __str__(self) -> str:
        return f"{self.account} / {self.strategy}"

    @property
    def audit_key(self) -> str:
        return f"{self.account.account_id} / {self.strategy.strategy_name}"
