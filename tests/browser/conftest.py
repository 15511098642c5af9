from __future__ import annotations

from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from playwright.sync_api import sync_playwright

from storage_app.admin.sources import platform_store
from tests.factories import make_superuser

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo" / "silverquant"
SCREENSHOTS = ROOT / "screenshots"
PASSWORD = "correct horse"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session", autouse=True)
def _static_root(tmp_path_factory):
    """Whitenoise warns, and so fails a test, where nothing was collected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "STATIC_ROOT", tmp_path_factory.mktemp("static"))
        yield


@pytest.fixture(scope="module")
def browser():
    """Chromium for one module, so that no event loop is left behind for other tests."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        # Playwright runs an event loop in this thread, which the ORM would refuse to share.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def demo(browser, transactional_db, redis, clickhouse, data_dir):
    """The demo, imported as a user would, and a superuser."""
    call_command(
        "import_legacy", str(DEMO), "--account", "55009728", "--environment", "paper",
        "--create-account", "--broker", "QMT", stdout=StringIO(),
    )  # fmt: skip
    yield make_superuser(username="admin", password=PASSWORD, real_name="管理员")
    platform_store().close()
    platform_store.cache_clear()


@dataclass
class Visit:
    """A browser page that remembers everything that should not happen on it."""

    page: object
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path):
        self.page.goto(self.base + path)
        self.settle()

    def settle(self):
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-chart]')]"
            ".every((one) => one.dataset.state === 'drawn' || one.querySelector('p'))"
        )

    def sign_in(self):
        self.open("/")
        self.page.fill("#id_username", "admin")
        self.page.fill("#id_password", PASSWORD)
        self.page.click("#login-form button")
        self.page.wait_for_url("**/admin/")
        self.settle()

    def keep(self, name):
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def text(self, selector="body"):
        return self.page.inner_text(selector)

    def watch(self):
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._console)

    def _request(self, request):
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"foreign: {request.url}")

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text} ({self.page.url})")


@pytest.fixture
def visit(browser, demo, live_server):
    """Open a visit: `visit(viewport=PHONE, dark=True)`; complaints fail the test at its end."""
    contexts, visits = [], []

    def start(*, viewport=None, dark=False):
        context = browser.new_context(
            viewport=viewport or DESKTOP,
            color_scheme="dark" if dark else "light",
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
        )
        contexts.append(context)
        visits.append(Visit(context.new_page(), live_server.url))
        visits[-1].watch()
        return visits[-1]

    yield start
    for context in contexts:
        context.close()
    assert [line for one in visits for line in one.complaints] == []
