from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class TradesConfig(AppConfig):
    name = "trades_app"
    verbose_name = _("Trades and bars")

    def ready(self) -> None:
        from trades_app.market import calendar

        calendar.configure(settings.DATA_DIR / "calendar.csv")
