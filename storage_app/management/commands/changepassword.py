from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands.changepassword import Command as DjangoCommand
from django.db import transaction

from storage_app.models import User
from storage_app.services import access
from storage_app.services.actors import command


class Command(DjangoCommand):
    """Django's command, with an entry in the audit trail; never with the password."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        with transaction.atomic():
            before = dict(User.objects.values_list("pk", "password"))
            said = super().handle(*args, **options)
            for user in User.objects.all():
                if before.get(user.pk) != user.password:
                    access.record_password(command("changepassword"), user)
        return said
