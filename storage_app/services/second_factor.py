"""The second factor of a sign-in: time-based codes of an app, and recovery codes without it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import segno
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.models import AuditAction, RolePolicy, User
from storage_app.services import access, audit
from storage_app.services.actors import Actor

RECOVERY_CODES = 10
# The role that stands for superusers, who may be in none.
_HIGHEST_ROLE = "admin"
_NAME = "authenticator"


class WrongCode(InvalidInput):
    """A code is wrong, too old or used already."""


class TooSoon(InvalidInput):
    """After wrong codes the next must wait."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a person has a second factor, and whether a role of theirs asks for one."""

    is_set_up: bool
    is_required: bool


def standing_of(user: User) -> Standing:
    """Ask for both in one query, since every page does."""
    mine = Q(role__user=OuterRef("pk"))
    if user.is_superuser:
        mine |= Q(role__name=_HIGHEST_ROLE)
    device = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
    found = User.objects.filter(pk=user.pk).values_list(
        Exists(device), Exists(RolePolicy.objects.filter(mine, requires_second_factor=True))
    )
    is_set_up, is_required = found.get()
    return Standing(bool(is_set_up), bool(is_required))


def codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user, device__confirmed=True).count())


def begin(user: User) -> TOTPDevice:
    """Return the device that waits for its first code; Conflict when one is at work already."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if TOTPDevice.objects.filter(user=user, confirmed=True).exists():
            raise Conflict(f"{user} has a second factor; remove it before another is set up")
        found = TOTPDevice.objects.filter(user=user, confirmed=False).first()
        return found or TOTPDevice.objects.create(user=user, name=_NAME, confirmed=False)


def picture_of(device: TOTPDevice) -> str:
    """Return the QR code that an app scans, as an SVG element."""
    return segno.make(device.config_url, error="m").svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True
    )


def secret_of(device: TOTPDevice) -> str:
    """Return the secret for typing it in, in groups of four."""
    secret = device.config_url.partition("secret=")[2].partition("&")[0]
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def confirm(actor: Actor, user: User, token: str) -> list[str]:
    """Put the device at work that `begin` made and return recovery codes, shown this once."""
    device = begin(user)
    if not device.verify_token(token.replace(" ", "")):
        raise WrongCode("that code is wrong or too old; type the one that the app shows now")
    with transaction.atomic():
        device.confirmed = True
        device.save()
        audit.record(actor, AuditAction.CHANGE, user, after={"second_factor": "set up"})
        return _new_codes(user)


def verify(user: User, token: str) -> Device:
    """Return the device that a code belongs to; InvalidInput for a wrong one.

    After each wrong code the next is refused for 1, 2, 4 … seconds. A code counts once.
    """
    token = token.replace(" ", "").lower()
    kind, given = (TOTPDevice, token) if token.isdecimal() else (StaticDevice, _digest(token))
    with transaction.atomic():
        devices = kind.objects.select_for_update().filter(user=user, confirmed=True)
        for device in devices:
            is_allowed, _why = device.verify_is_allowed()
            if not is_allowed:
                raise TooSoon("too many wrong codes; wait a little before the next")
            if device.verify_token(given):
                return device
    raise WrongCode("that code is wrong, too old or used already")


def renew_codes(actor: Actor, user: User) -> list[str]:
    """Replace the recovery codes; the old ones are void."""
    with transaction.atomic():
        audit.record(actor, AuditAction.CHANGE, user, after={"recovery_codes": "renewed"})
        return _new_codes(user)


def remove(actor: Actor, user: User, reason: str = "") -> None:
    """Take the second factor of a person away; they may set up another.

    Somebody else needs the permission to change users, and to manage this one.
    """
    if actor.user != user:
        access.require_managing(actor.user, user)
    with transaction.atomic():
        devices = TOTPDevice.objects.filter(user=user)
        had_one = devices.filter(confirmed=True).exists()
        devices.delete()
        StaticDevice.objects.filter(user=user).delete()
        if had_one:
            after = {"second_factor": "removed"}
            audit.record(actor, AuditAction.CHANGE, user, after=after, reason=reason)


def _new_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery", confirmed=True)
    # The letter in front keeps one from looking like a code of the app.
    codes = [f"r{StaticToken.random_token()}" for _number in range(RECOVERY_CODES)]
    for code in codes:
        StaticToken.objects.create(device=device, token=_digest(code))
    return codes


def _digest(code: str) -> str:
    """Return what is kept of a recovery code, in the width of the column."""
    return sha256(code.encode()).hexdigest()[:16]
