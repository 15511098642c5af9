from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand
from django.db import transaction

from storage_app.models import User
from storage_app.services import audit
from storage_app.services.actors import command


class Command(DjangoCommand):
    """Django's command, with an entry in the audit trail."""

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            known = list(User.objects.values_list("pk", flat=True))
            super().handle(*args, **options)
            for user in User.objects.exclude(pk__in=known):
                audit.created(command("createsuperuser"), user)
