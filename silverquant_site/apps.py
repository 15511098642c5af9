from __future__ import annotations

from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class SilverQuantAdminConfig(AdminConfig):
    default_site = "storage_app.admin.site.PlatformAdminSite"

    def ready(self) -> None:
        super().ready()
        # Every thread that sends a task needs the configured application.
        import_module("silverquant_site.celery")
        # After autodiscovery, so that our pages may replace those of other packages.
        import_module("storage_app.admin.pages")
