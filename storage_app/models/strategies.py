from __future__ import annotations

from django.conf import settings
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from storage_app.contract import rules, types
from storage_app.models.audited import KeptModel, WrittenOnceModel
from storage_app.models.fields import CollatedCharField


class StrategyType(models.TextChoices):
    WENCAI = types.StrategyType.WENCAI.value, _("Wencai (问财)")
    REMOTE = types.StrategyType.REMOTE.value, _("Remote signal")
    TECHNICAL = types.StrategyType.TECHNICAL.value, _("Technical")
    OTHER = types.StrategyType.OTHER.value, _("Other")


class StrategyStatus(models.TextChoices):
    TESTING = rules.StrategyStatus.TESTING.value, _("Testing")
    ACTIVE = rules.StrategyStatus.ACTIVE.value, _("Active")
    INACTIVE = rules.StrategyStatus.INACTIVE.value, _("Retired")


class Strategy(KeptModel):
    """A trading strategy; its parameters are immutable versions, one of them active."""

    # Names are exact: trades carry them, and neither files nor ClickHouse would find another case.
    strategy_name = CollatedCharField(
        _("name"),
        collations={"mysql": "utf8mb4_bin"},
        max_length=100,
        unique=True,
        validators=[MinLengthValidator(3)],
    )
    strategy_code = models.CharField(
        _("code"),
        max_length=50,
        unique=True,
        validators=[RegexValidator(rf"\A{rules.STRATEGY_CODE_PATTERN}\Z")],
        help_text=_("Lower-case letters, digits and '_'."),
    )
    strategy_type = models.CharField(_("type"), max_length=20, choices=StrategyType)
    version = models.CharField(
        _("program version"),
        max_length=20,
        validators=[RegexValidator(rf"\A{rules.PROGRAM_VERSION_PATTERN}\Z")],
        help_text=_("x.y.z, the version of the program, not of its parameters."),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=StrategyStatus, default=StrategyStatus.TESTING
    )
    description = models.TextField(_("description"), blank=True)
    active_version = models.ForeignKey(
        "storage_app.ParamVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("active parameter version"),
    )
    needs_approval = models.BooleanField(
        _("approval by a second person"),
        default=False,
        help_text=_("A saved version waits until somebody other than its author approves it."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("strategy")
        verbose_name_plural = _("strategies")
        ordering = ("strategy_name",)
        default_permissions = ("add", "change", "view")
        permissions = (("govern_strategy", "Can require or lift approval by a second person"),)

    def __str__(self) -> str:
        return self.strategy_name

    @property
    def audit_key(self) -> str:
        return self.strategy_name


class ParamVersion(WrittenOnceModel):
    """A whole set of parameters as it was saved; never changed, never deleted."""

    strategy = models.ForeignKey(
        Strategy, on_delete=models.PROTECT, related_name="versions", verbose_name=_("strategy")
    )
    version = models.PositiveIntegerField(_("version"))
    params = models.JSONField(_("parameters"))
    remark = models.CharField(_("remark"), max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    actor = models.CharField(
        _("saved by"), max_length=150, help_text=_("User name, or trader@HOST for a program.")
    )
    created_at = models.DateTimeField(_("saved at"), auto_now_add=True)
    # What the strategy asked for when the version was saved; lifting it later frees no version.
    needs_approval = models.BooleanField(_("needs approval"), default=False, editable=False)

    class Meta:
        verbose_name = _("parameter version")
        verbose_name_plural = _("parameter versions")
        ordering = ("strategy", "-version")
        default_permissions = ("add", "view")
        constraints = (
            models.UniqueConstraint(
                fields=("strategy", "version"), name="param_version_once_per_strategy"
            ),
        )

    def __str__(self) -> str:
        return f"{self.strategy} v{self.version}"


class DecisionOutcome(models.TextChoices):
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class ParamDecision(WrittenOnceModel):
    """What a second person decided about a version that needed it; one decision, for good."""

    version = models.OneToOneField(
        ParamVersion,
        on_delete=models.PROTECT,
        related_name="decision",
        verbose_name=_("parameter version"),
    )
    outcome = models.CharField(_("outcome"), max_length=10, choices=DecisionOutcome)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    actor = models.CharField(_("decided by"), max_length=150)
    reason = models.CharField(_("reason"), max_length=200)
    decided_at = models.DateTimeField(_("decided at"), auto_now_add=True)

    class Meta:
        verbose_name = _("parameter decision")
        verbose_name_plural = _("parameter decisions")
        default_permissions = ("add",)

    def __str__(self) -> str:
        return f"{self.version}: {self.outcome}"
