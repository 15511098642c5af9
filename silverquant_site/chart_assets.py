"""Serve the chart library that an installed package carries, from our own origin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

PREFIX = "charts"
NAME = "lightweight-charts.js"


class ChartLibraryFinder(BaseFinder):
    """Find `charts/lightweight-charts.js` in the litecharts package, and nothing else of it."""

    def __init__(self, app_names: object = None) -> None:
        self.directory = Path(str(files("litecharts"))) / "js"
        self.storage = FileSystemStorage(location=self.directory)
        # collectstatic writes below this prefix.
        self.storage.prefix = PREFIX  # type: ignore[attr-defined]

    def find(self, path: str, find_all: bool = False, **kwargs: object) -> Any:
        found = [str(self.directory / NAME)] if path == f"{PREFIX}/{NAME}" else []
        return found if find_all or not found else found[0]

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        yield NAME, self.storage
