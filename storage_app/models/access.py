from __future__ import annotations

from hashlib import sha256
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext_lazy as _

from storage_app.models.audited import AuditedModel, AuditedQuerySet, UnauditedChangeError


class AuditedUserManager(UserManager.from_queryset(AuditedQuerySet)):  # type: ignore[misc]
    use_in_migrations = False


class User(AbstractUser):
    """A person who signs in; made by an administrator, never by self-registration."""

    real_name = models.CharField(_("real name"), max_length=50, blank=True)
    last_login_ip = models.GenericIPAddressField(_("last login from"), null=True, blank=True)

    objects: ClassVar[AuditedUserManager] = AuditedUserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        db_table = "platform_user"

    def get_full_name(self) -> str:
        return self.real_name or self.username

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnauditedChangeError(f"user {self} is kept for ever; clear the active flag instead")

    @property
    def audit_key(self) -> str:
        return self.username


class AccountGrant(AuditedModel):
    """Limits a user to the accounts granted; a user without any grant sees all accounts."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="account_grants",
        verbose_name=_("user"),
    )
    account = models.ForeignKey(
        "storage_app.Account",
        on_delete=models.CASCADE,
        related_name="grants",
        verbose_name=_("account"),
    )

    class Meta:
        verbose_name = _("account grant")
        verbose_name_plural = _("account grants")
        constraints = (
            models.UniqueConstraint(
                fields=("user", "account"), name="grant_once_per_user_and_account"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} → {self.account}"

    @property
    def audit_key(self) -> str:
        return f"{self.user.username} / {self.account.account_id}"


class RolePolicy(AuditedModel):
    """What the members of a role must do to sign in."""

    role = models.OneToOneField(
        "auth.Group", on_delete=models.CASCADE, related_name="policy", verbose_name=_("role")
    )
    requires_second_factor = models.BooleanField(_("requires a second factor"), default=False)

    class Meta:
        verbose_name = _("role policy")
        verbose_name_plural = _("role policies")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.role)


class SignInSession(AbstractBaseSession):
    """A session that knows whose it is, so that it can be shown and ended.

    Written by `storage_app.session_store`; the key of a session is as good as a password, so
    pages name a session by its `handle`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="sign_in_sessions",
        verbose_name=_("user"),
    )
    address = models.GenericIPAddressField(_("from"), null=True)
    user_agent = models.CharField(_("browser"), max_length=200, blank=True)
    signed_in_at = models.DateTimeField(_("signed in at"), null=True)
    seen_at = models.DateTimeField(_("last seen at"), auto_now=True)

    class Meta(AbstractBaseSession.Meta):
        verbose_name = _("session")  # type: ignore[assignment]
        verbose_name_plural = _("sessions")  # type: ignore[assignment]
        db_table = "platform_session"
        default_permissions = ()

    @property
    def handle(self) -> str:
        return sha256(self.session_key.encode()).hexdigest()[:16]
