from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class PlatformAdminSite(UnfoldAdminSite):
    """The admin of the platform."""
