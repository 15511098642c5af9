"""Serve the chart library that an installed package carries, from our own origin."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from django.contrib.staticfiles.finders import FileSystemFinder
from django.core.files.storage import FileSystemStorage


class ChartLibraryFinder(FileSystemFinder):
    """Find `charts/lightweight-charts.js` inside the litecharts distribution."""

    def __init__(self, app_names: object = None) -> None:
        storage = FileSystemStorage(location=Path(str(files("litecharts"))) / "js")
        storage.prefix = "charts"
        self.locations = [("charts", str(storage.location))]
        self.storages = {str(storage.location): storage}
