from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class SilverQuantAdminConfig(AdminConfig):
    default_site = "storage_app.admin.site.PlatformAdminSite"
