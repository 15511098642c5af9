from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command

from silverquant_site.chart_assets import ChartLibraryFinder

TEMPLATES = Path(__file__).resolve().parents[2] / "storage_app" / "templates"


def test_the_chart_library_comes_from_the_installed_package():
    path = finders.find("charts/lightweight-charts.js")

    assert "TradingView Lightweight Charts" in Path(path).read_text(encoding="utf-8")[:200]


def test_nothing_else_of_that_package_is_served():
    assert [name for name, _storage in ChartLibraryFinder().list([])] == ["lightweight-charts.js"]
    assert finders.find("charts/__init__.py") is None


def test_all_assets_are_collected_for_whitenoise(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", "--no-input", verbosity=0)

    for name in (
        "charts/lightweight-charts.js",
        "charts/lightweight-charts.js.gz",
        "storage_app/charts.js",
        "storage_app/platform.css",
        "unfold/css/styles.css",
    ):
        assert (tmp_path / name).is_file(), name
    assert not (tmp_path / "charts" / "__init__.py").exists()


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_inline_script_style_or_foreign_address(path):
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\son\w+=|\sstyle=", text)
    assert not re.search(r"(https?:)?//\w", text)
    assert "|safe" not in text
