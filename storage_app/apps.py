from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class StorageConfig(AppConfig):
    name = "storage_app"
    verbose_name = _("Accounts and strategies")
