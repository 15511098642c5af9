from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


class StorageConfig(AppConfig):
    name = "storage_app"
    verbose_name = _("Accounts and strategies")

    def ready(self) -> None:
        from storage_app.services.access import record_sign_in

        user_logged_in.connect(record_sign_in, dispatch_uid="storage_app.record_sign_in")
