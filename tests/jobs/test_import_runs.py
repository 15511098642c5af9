"""An import that a person starts in the admin, from the form to the rejected rows."""

from __future__ import annotations

import io
import shutil
import zipfile

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from silverquant_site.celery import app
from storage_app import create_data_store, tasks
from storage_app.contract.errors import InvalidInput
from storage_app.contract.watching import Progress
from storage_app.imports import runs
from storage_app.imports.runs import Wish
from storage_app.models import AuditEntry, JobRun, JobStatus, Report
from storage_app.services import jobs
from storage_app.services.actors import person
from tests.admin.conftest import signed_in
from tests.factories import make_account, make_superuser, make_user
from tests.test_architecture import ROOT

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("english", "redis", "clickhouse"),
]
DEMO = ROOT / "demo" / "silverquant"
NUMBER = "10000001"
START = "admin:storage_app_jobrun_start"


@pytest.fixture(autouse=True)
def _static_root(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()


@pytest.fixture
def here(data_dir, settings):
    """The directory that the admin imports from, with the demo in it, and an account."""
    make_account(NUMBER)
    settings.IMPORT_ROOT = data_dir / "import"
    shutil.copytree(DEMO, settings.IMPORT_ROOT / "demo")
    return data_dir


@pytest.fixture
def boss(here):
    client = signed_in(make_superuser(username="boss"))
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def at_once():
    """Tasks run where they are asked for."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


def archive_of(folder):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
    return SimpleUploadedFile("silverquant.zip", content.getvalue())


def actor(role="admin", **fields):
    return person(make_user(role, **fields))


def test_archive_is_uploaded_imported_and_shown(boss, here, at_once):
    fields = {"account_id": NUMBER, "part": "all", "adjust": "none", "upload": archive_of(DEMO)}
    answer = boss.post(reverse(START), fields, follow=True)
    run = JobRun.objects.get()
    assert (run.status, run.actor, run.job) == (JobStatus.DONE, "boss", "run_import")
    total = run.result["total"]
    assert total["read"] == total["new"] + total["same"] + total["rejected"]
    assert total["new"] > 5000
    text = answer.content.decode()
    assert "prod_pwc/deal_hist.csv" in text
    assert f"{total['new']:,}" in text
    assert create_data_store("clickhouse").query_trades(NUMBER, limit=1)
    assert not (here / "uploads" / run.slot).exists()
    entry = AuditEntry.objects.get(entity="jobrun")
    assert (entry.actor, entry.action, entry.after["account_id"]) == ("boss", "import", NUMBER)
    report = Report.objects.get()
    assert (report.kind, report.summary["new"]) == ("import", total["new"])


def test_directory_of_the_server_goes_into_the_book_that_was_named(boss, at_once):
    fields = {
        "account_id": NUMBER, "namespace": "alpha", "part": "positions", "adjust": "none",
        "path": "demo",
    }  # fmt: skip
    boss.post(reverse(START), fields)
    assert JobRun.objects.get().status == JobStatus.DONE
    assert create_data_store("redis").list_books() == [f"{NUMBER}/alpha", f"{NUMBER}/test"]


def test_rejected_rows_are_counted_and_can_be_downloaded(boss, at_once):
    text = "日期,时间,代码,名称,类型,注释,成交价,成交量\n"
    text += "2026-03-02,09:31:00,600000.SH,浦发银行,市买委托,,10.5,100\n"
    text += "2026-03-02,09:31:00,600000.SH,浦发银行,猜一猜,,10.5,100\n"
    file = SimpleUploadedFile("deal_hist.csv", text.encode())
    fields = {"account_id": NUMBER, "part": "trades", "adjust": "none", "upload": file}
    page = boss.post(reverse(START), fields, follow=True)
    run = JobRun.objects.get()
    assert (run.result["total"]["new"], run.result["total"]["rejected"]) == (1, 1)
    link = reverse("admin:storage_app_jobrun_rejects", args=[run.pk])
    assert link in page.content.decode()
    content = b"".join(boss.get(link).streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "猜一猜" in archive.read("upload/deal_hist.csv").decode("utf-8-sig")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Send a file or name a directory"),
        ({"path": "../.."}, "outside of"),
        ({"path": "nothing"}, "there is no"),
        ({"path": "demo/prod_pwc/assets.csv"}, "say what kind of file"),
        ({"path": "demo", "namespace": "a/b"}, "a/b"),
        ({"upload": SimpleUploadedFile("a.exe", b"MZ")}, "no .zip, .csv or .json"),
        ({"account_id": "20000002", "path": "demo"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_imported_is_said_on_the_form(boss, fields, expected):
    given = {"account_id": NUMBER, "part": "all", "adjust": "none"} | fields
    answer = boss.post(reverse(START), given)
    assert answer.status_code == 200
    assert expected in answer.content.decode()
    assert not JobRun.objects.exists()


def test_only_those_who_may_start_imports_of_an_account_do(here):
    make_account("20000002")
    mine = Wish(NUMBER, path="demo")
    with pytest.raises(PermissionDenied, match="add_jobrun"):
        runs.start(actor("trader"), mine)
    from storage_app.models import Account

    other = actor("admin", accounts=[Account.objects.get(account_id="20000002")])
    with pytest.raises(PermissionDenied, match="no access"):
        runs.start(other, mine)
    assert not JobRun.objects.exists()
    run = runs.start(actor("admin"), mine)
    client = signed_in(other.user)
    for page in ("change", "progress", "rejects", "cancel"):
        address = reverse(f"admin:storage_app_jobrun_{page}", args=[run.pk])
        assert client.get(address).status_code in (302, 403, 404)
    viewer = signed_in(actor("trader").user)
    assert viewer.get(reverse(START)).status_code == 403
    assert viewer.get(reverse("admin:storage_app_jobrun_changelist")).status_code == 200


def test_cancel_stops_between_batches_and_what_is_in_stays(here, monkeypatch):
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.0)
    boss = person(make_superuser(username="boss"))
    run = runs.start(boss, Wish(NUMBER, path="demo"))
    kept = jobs._Noting.__call__

    def note(self, progress):
        kept(self, progress)
        if progress.done == 3:
            runs.cancel(boss, JobRun.objects.get(), "wrong directory")

    monkeypatch.setattr(jobs._Noting, "__call__", note)
    outcome = tasks.run_import(run.pk)
    assert outcome["status"] == "cancelled"
    run.refresh_from_db()
    assert run.status == JobStatus.CANCELLED
    assert 0 < len(run.result["files"]) < run.result["expected"]
    entry = AuditEntry.objects.filter(entity="jobrun").latest("id")
    assert (entry.action, entry.reason) == ("change", "wrong directory")
    assert tasks.run_import(run.pk)["status"] == "passed over"


def test_waiting_run_is_cancelled_at_once_and_never_begins(boss):
    run = runs.start(person(make_superuser()), Wish(NUMBER, path="demo"))
    address = reverse("admin:storage_app_jobrun_cancel", args=[run.pk])
    assert boss.get(address).status_code == 200
    boss.post(address, {"reason": "not today"})
    run.refresh_from_db()
    assert run.status == JobStatus.CANCELLED
    assert tasks.run_import(run.pk)["status"] == "passed over"
    assert not create_data_store("redis").list_books()


def test_page_tells_its_script_how_far_the_run_is(boss):
    run = runs.start(person(make_superuser()), Wish(NUMBER, path="demo"))
    claimed = jobs.claim(JobRun.objects.filter(pk=run.pk)).run
    jobs._Noting(claimed)(Progress("daily bars", 500, 2000, "files"))
    page = boss.get(reverse("admin:storage_app_jobrun_change", args=[run.pk])).content.decode()
    address = reverse("admin:storage_app_jobrun_progress", args=[run.pk])
    assert f'data-progress-url="{address}"' in page
    assert "storage_app/progress.js" in page
    told = boss.get(address).json()
    assert (told["percent"], told["is_over"], told["status"]) == (25, False, "Running")
    assert told["text"].startswith("daily bars: 500 / 2,000 files")


def test_dry_run_writes_nothing(boss, at_once):
    fields = {"account_id": NUMBER, "part": "all", "adjust": "none", "path": "demo"}
    boss.post(reverse(START), fields | {"dry_run": "on"})
    run = JobRun.objects.get()
    assert run.result["total"]["new"] > 5000
    assert create_data_store("redis").list_books() == []


def test_import_that_a_dead_worker_left_goes_on(here, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.current_app, "send_task", lambda *names: asked.append(names))
    run = runs.start(person(make_superuser()), Wish(NUMBER, path="demo"))
    jobs.claim(JobRun.objects.filter(pk=run.pk))
    JobRun.objects.update(lease_until=run.created_at)
    assert tasks.rescue_jobs() == [f"asked for run_import {run.day}"]
    assert asked == [("storage_app.run_import", [run.pk])]
    assert tasks.run_import(run.pk)["status"] == "done"


def test_file_that_nobody_knows_is_refused_before_the_run(here):
    (here / "import" / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no file of SilverQuant"):
        runs.start(person(make_superuser()), Wish(NUMBER, path="empty"))
    assert not JobRun.objects.exists()
