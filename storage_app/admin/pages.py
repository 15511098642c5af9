"""Registers every page; imported once all packages have registered theirs."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.utils.translation import gettext_lazy as _

PAGES = (
    "accounts",
    "audit",
    "bindings",
    "conflicts",
    "imports",
    "jobs",
    "klines",
    "reports",
    "strategies",
    "trades",
    "users",
)

# Its own name is that of the package.
apps.get_app_config("axes").verbose_name = _("Sign-in")

for page in PAGES:
    import_module(f"storage_app.admin.{page}")
