"""What racing processes have loaded before they begin (see `processes.py`); it connects nowhere."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

import django

django.setup()

from storage_app.stores import clickhouse, compose, orm, redis  # noqa: E402, F401
from storage_app.stores.file import (  # noqa: E402
    accounts,  # noqa: F401
    klines,  # noqa: F401
    positions,  # noqa: F401
    strategies,  # noqa: F401
    trades,  # noqa: F401
)
