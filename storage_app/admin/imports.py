"""Runs of jobs, and the imports that a person starts: live progress, cancel, counts, rejects."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from storage_app.admin import figures
from storage_app.admin.confirm import Question, ask
from storage_app.admin.records import DecidingAdmin, ReadOnlyAdmin
from storage_app.admin.sources import signed_in
from storage_app.contract.errors import StorageError
from storage_app.contract.types import Adjust
from storage_app.models import Account, JobRun, JobStatus
from storage_app.services.access import restrict_accounts, visible_accounts
from storage_app.services.actors import of_request

TONES = {
    JobStatus.WAITING.value: "",
    JobStatus.RUNNING.value: "info",
    JobStatus.PENDING.value: "warn",
    JobStatus.DONE.value: "good",
    JobStatus.SKIPPED.value: "",
    JobStatus.FAILED.value: "bad",
    JobStatus.CANCELLED.value: "warn",
}
PARTS = {
    "all": _("Everything that is recognised"),
    "positions": _("Positions"),
    "trades": _("Orders (deal_hist.csv)"),
    "klines": _("Daily bars"),
    "assets": _("Net values (assets.csv)"),
    "calendar": _("Trading days"),
}
ADJUSTS = {
    Adjust.NONE.value: _("As traded"),
    Adjust.QFQ.value: _("Forward adjusted (qfq)"),
    Adjust.HFQ.value: _("Backward adjusted (hfq)"),
}
FILES_SHOWN = 500


class ImportForm(forms.Form):
    account_id = forms.ChoiceField(label=_("Account"), widget=UnfoldAdminSelectWidget)
    namespace = forms.CharField(
        label=_("Namespace of the book"),
        required=False,
        max_length=50,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Empty for the account's own book."),
    )
    part = forms.ChoiceField(
        label=_("What to import"), choices=list(PARTS.items()), widget=UnfoldAdminSelectWidget
    )
    upload = forms.FileField(
        label=_("File"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("A .zip of SilverQuant's _cache directory, or one .csv or .json file."),
    )
    path = forms.CharField(
        label=_("Or a directory of the server"),
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
    )
    adjust = forms.ChoiceField(
        label=_("Adjustment of the bars"),
        choices=list(ADJUSTS.items()),
        widget=UnfoldAdminSelectWidget,
    )
    since = forms.DateField(label=_("From"), required=False, widget=UnfoldAdminDateWidget)
    until = forms.DateField(label=_("To"), required=False, widget=UnfoldAdminDateWidget)
    assume_filled = forms.BooleanField(
        label=_("Assume that orders were filled"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Adds a fill to each order, marked as assumed: profit is then an estimate."),
    )
    replace_positions = forms.BooleanField(
        label=_("Take the files' word for positions"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Whatever trading has done since."),
    )
    dry_run = forms.BooleanField(
        label=_("Only say what would be done"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(self, accounts: QuerySet[Account], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.account_id, str(one)) for one in accounts]
        self.fields["account_id"].choices = choices  # type: ignore[attr-defined]
        self.fields["path"].help_text = _("Below %(root)s on the server.") % {
            "root": settings.IMPORT_ROOT
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("upload")) == bool(cleaned.get("path")):
            raise forms.ValidationError(_("Send a file or name a directory of the server."))
        return cleaned


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin, DecidingAdmin):
    list_display = ("started", "job_name", "state_badge", "how_far", "took", "account_id", "actor")
    list_display_links = ("started", "job_name")
    list_filter = (("status", ChoicesRadioFilter),)
    list_filter_sheet = False
    list_fullwidth = True
    search_fields = ("job", "account_id", "actor")
    change_form_template = "storage_app/job_run.html"
    actions_list = ("start",)
    actions_detail = ("cancel",)
    empty_hint = _("No job has run yet.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRun]:
        return restrict_accounts(super().get_queryset(request), signed_in(request))

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<int:number>/progress/",
                self.admin_site.admin_view(self.progress),
                name="storage_app_jobrun_progress",
            ),
            path(
                "<int:number>/rejects/",
                self.admin_site.admin_view(self.rejects),
                name="storage_app_jobrun_rejects",
            ),
        ]
        return [*own, *super().get_urls()]

    def has_start_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.add_jobrun")

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.change_jobrun")

    def moves_of(self, row: JobRun) -> Collection[str]:
        return () if row.is_over or row.wants_cancel else self.actions_detail

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        shown = {} if run is None else _describe(run)
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @action(
        description=_("Start an import"),
        url_path="start",
        permissions=["start"],
        icon="upload_file",
    )
    def start(self, request: HttpRequest) -> HttpResponse:
        if not self.has_start_permission(request):
            raise PermissionDenied
        accounts = visible_accounts(signed_in(request))
        form = ImportForm(accounts, request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                run = _start(request, form.cleaned_data)
            except StorageError as exc:
                form.add_error(None, str(exc))
            else:
                messages.success(request, _("The import is on its way."))
                return HttpResponseRedirect(self.page_of(run))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Start an import"),
            "opts": self.opts,
            "form": form,
            "back": reverse("admin:storage_app_jobrun_changelist"),
        }
        return TemplateResponse(request, "storage_app/start_import.html", context)

    @action(description=_("Cancel"), url_path="cancel", permissions=["cancel"], icon="cancel")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        from storage_app.imports import runs

        run = self.found(request, object_id)
        actor = of_request(request)
        question = Question(
            title=_("Cancel: %(run)s") % {"run": run},
            explanation=_("It stops after the batch it is at; what is in by then stays in."),
            button=_("Cancel the run"),
            done=_("The run stops after this batch."),
            back=self.page_of(run),
            act=lambda reason: runs.cancel(actor, run, reason),
            is_dangerous=True,
        )
        return ask(self, request, question)

    def progress(self, request: HttpRequest, number: int) -> JsonResponse:
        """Tell the script of the page how far the run is."""
        return JsonResponse(_progress(self.found(request, str(number))))

    def rejects(self, request: HttpRequest, number: int) -> HttpResponse | FileResponse:
        from storage_app.imports import runs

        run = self.found(request, str(number))
        folder = runs.rejects_of(run)
        if not folder.is_dir():
            messages.info(request, _("No row was rejected, or the rows are gone."))
            return HttpResponseRedirect(self.page_of(run))
        name = f"rejects-{run.day}-{run.slot}.zip"
        return FileResponse(_archive(folder), as_attachment=True, filename=name)

    @display(description=_("started at"), ordering="created_at")
    def started(self, run: JobRun) -> str:
        return f"{timezone.localtime(run.started_at or run.created_at):%Y-%m-%d %H:%M:%S}"

    @display(description=_("job"), ordering="job")
    def job_name(self, run: JobRun) -> str:
        return run.title

    @display(description=_("status"), ordering="status")
    def state_badge(self, run: JobRun) -> str:
        return figures.badge(run.get_status_display(), TONES[run.status])

    @display(description=_("how far"))
    def how_far(self, run: JobRun) -> str:
        progress = _progress(run)
        return progress["text"] if run.status == JobStatus.RUNNING else run.message[:100]

    @display(description=_("took"))
    def took(self, run: JobRun) -> str:
        took = run.took
        return figures.MISSING if took is None else figures.duration(took.total_seconds())


def _start(request: HttpRequest, wanted: dict[str, Any]) -> JobRun:
    # Brings pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app import tasks
    from storage_app.imports import runs

    upload = wanted.pop("upload")
    run = runs.start(of_request(request), runs.Wish(**wanted), upload)
    tasks.run_import.delay(run.pk)
    return run


def _progress(run: JobRun) -> dict[str, Any]:
    share = min(run.done / run.total, 1.0) if run.total else None
    seconds = (timezone.now() - run.step_at).total_seconds() if run.step_at else 0.0
    rate = run.done / seconds if seconds > 0 else None
    return {
        "is_over": run.is_over,
        "status": run.get_status_display(),
        "tone": TONES[run.status],
        "percent": None if share is None else round(share * 100),
        "text": _how_far(run, rate),
        "wants_cancel": run.wants_cancel,
    }


def _how_far(run: JobRun, rate: float | None) -> str:
    if not run.step:
        return ""
    total = figures.whole(run.total) if run.total else "?"
    text = f"{run.step}: {figures.whole(run.done)} / {total} {run.unit}".rstrip()
    if rate:
        text += " · " + _("%(rate)s a second") % {"rate": f"{rate:,.0f}"}
        if run.total and run.done:
            text += " · " + _("%(time)s left") % {
                "time": figures.duration((run.total - run.done) / rate)
            }
    return text


def _describe(run: JobRun) -> dict[str, Any]:
    result = run.result if isinstance(run.result, dict) else {}
    files = result.get("files", [])
    return {
        "title": str(run),
        "run": run,
        "progress": _progress(run),
        "tone": TONES[run.status],
        "took": None if run.took is None else figures.duration(run.took.total_seconds()),
        "files": files[:FILES_SHOWN],
        "left_out": max(len(files) - FILES_SHOWN, 0),
        "total": result.get("total"),
        "has_rejects": bool(result.get("rejects")),
        "facts": [] if files else _facts(run.result),
    }


def _facts(result: Any) -> list[tuple[str, str]]:
    """Return a result as names and texts, whatever job it is of."""
    if isinstance(result, dict):
        return [(str(name), _text(value)) for name, value in result.items()]
    if isinstance(result, list):
        return [(str(number), _text(value)) for number, value in enumerate(result, start=1)]
    return []


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or figures.MISSING
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _archive(folder: Path) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.rglob("*")):
            if one.is_file():
                archive.write(one, one.relative_to(folder))
    content.seek(0)
    return content
