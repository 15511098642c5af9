"""How the admin looks; read by the theme."""

from __future__ import annotations

from typing import Any

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("SilverQuant data platform"),
    "SITE_HEADER": _("SilverQuant"),
    "SITE_SUBHEADER": _("Data platform"),
    "SITE_URL": reverse_lazy("admin:index"),
    "SITE_SYMBOL": "candlestick_chart",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "BORDER_RADIUS": "6px",
}
