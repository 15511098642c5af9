"""What differs between the stores, as a person reads it and has it repaired."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django_redis import get_redis_connection

from storage_app.admin.sources import platform_store
from storage_app.models import Report
from storage_app.stores import kline_mirror
from storage_app.stores.redis import RedisPositions, book_key
from tests.browser.conftest import PHONE
from tests.browser.test_conflicts import fits, speak

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])


@pytest.fixture
def differing(demo, data_dir):
    """The demo with a difference of several kinds, all noted in reports."""
    kline_mirror.refresh(data_dir)
    platform_store().close()
    platform_store.cache_clear()
    (book, *_) = RedisPositions().list_books()
    get_redis_connection("positions").hset(book_key(book), "_inc_date", "2026-03-06")
    path = next((data_dir / "trades" / "55009728").glob("*.csv"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    (data_dir / "klines" / "none" / "600036.SH.csv").unlink()
    (data_dir / "backups" / "20260302").mkdir(parents=True)
    (data_dir / "backups" / "20260302" / "manifest.json").write_text(json.dumps({"a": 1}))
    for name in ("verify_stores", "check_klines"):
        with pytest.raises(CommandError):
            call_command(name, stdout=StringIO(), stderr=StringIO())
    return Report.objects.get(kind="verify")


@pytest.mark.parametrize(
    ("viewport", "dark", "language"),
    [(None, False, "zh-hans"), (PHONE, True, "en")],
    ids=["desktop-light", "phone-dark-english"],
)
def test_a_difference_is_read_and_repaired(visit, differing, viewport, dark, language):
    me = visit(viewport=viewport, dark=dark)
    name = f"{'dark' if dark else 'light'}_{'phone' if viewport else 'desktop'}_{language}"
    me.sign_in()
    speak(me, language)
    me.open("/admin/storage_app/report/")
    me.keep(f"reports_{name}")
    fits(me)
    me.open(f"/admin/storage_app/report/{differing.pk}/change/")
    assert "2026-03-06" in me.text("#findings")
    me.keep(f"report_{name}")
    fits(me)
    me.open(f"/admin/storage_app/report/{Report.objects.get(kind='klines').pk}/change/")
    assert "2017-05-30" in me.text("#findings")
    me.keep(f"report_bars_{name}")
    fits(me)

    me.open(f"/admin/storage_app/report/{differing.pk}/repair/")
    assert len(me.page.query_selector_all("#findings tbody tr")) == 7
    me.keep(f"repair_plan_{name}")
    fits(me)
    me.page.fill("#id_reason", "昨夜比对报告")
    me.page.click("form.sq-panel button")
    me.settle()
    me.keep(f"repair_done_{name}")
    fits(me)
    done = Report.objects.get(kind="repair")
    assert done.summary["outcomes"] == {"done": 5, "by_hand": 2}
