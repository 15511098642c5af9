"""Imports that a person starts in the admin and a worker does: asked for, watched, cancelled."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils import translation

from storage_app.contract.arguments import parse_book
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import Adjust
from storage_app.contract.watching import Watch
from storage_app.imports import uploads
from storage_app.imports.cursor import Cursor
from storage_app.imports.options import ImportOptions
from storage_app.imports.pipeline import run_import
from storage_app.imports.rejects import RejectsFolder
from storage_app.imports.results import ImportResult, total
from storage_app.legacy.directory import LegacyDirectory, Part, explore, single
from storage_app.legacy.text import LegacyFileError, describe
from storage_app.models import AuditAction, JobRun, Report, ReportKind
from storage_app.services import access, accounts, audit, jobs
from storage_app.services.actors import Actor
from storage_app.stores.compose import open_platform_store
from trades_app.market import clock

JOB: Final = "run_import"
EVERYTHING: Final = "all"
# Findings of a report; the rejects file has all of them.
_MOST_FINDINGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; `path` is a name below IMPORT_ROOT, if nothing is uploaded."""

    account_id: str
    namespace: str = ""
    part: str = EVERYTHING
    path: str = ""
    adjust: str = Adjust.NONE
    zone: str = clock.SHANGHAI.key
    since: date | None = None
    until: date | None = None
    dry_run: bool = False
    replace_positions: bool = False
    assume_filled: bool = False

    def as_options(self) -> dict[str, Any]:
        days = {"since": self.since, "until": self.until}
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            **{name: day and day.isoformat() for name, day in days.items()},
        }


def start(actor: Actor, wish: Wish, upload: Any = None) -> JobRun:
    """Keep what was sent and make the row of the run; the caller gives it to a worker.

    PermissionDenied without the right to start imports or to see the account; InvalidInput for
    what cannot be imported.
    """
    access.require(actor.user, "storage_app.add_jobrun")
    access.require_account(actor.user, wish.account_id)
    accounts.get(wish.account_id)
    if wish.namespace:
        parse_book(f"{wish.account_id}/{wish.namespace}")
    token = secrets.token_hex(8)
    if upload is not None:
        path, _is_folder = uploads.receive(
            settings.DATA_DIR, token, upload.name, upload.size, upload.chunks()
        )
    else:
        path = uploads.below(settings.IMPORT_ROOT, wish.path)
    try:
        _find(path, wish.part)
        with transaction.atomic():
            run = _make_run(actor, wish, token, path, is_upload=upload is not None)
    except BaseException:
        uploads.remove(settings.DATA_DIR, token)
        raise
    return run


def _make_run(actor: Actor, wish: Wish, token: str, path: Path, *, is_upload: bool) -> JobRun:
    options = {
        **wish.as_options(),
        "source": str(path),
        "is_upload": is_upload,
        # The worker speaks that of the installation, the notes are for this person.
        "language": translation.get_language(),
    }
    run = JobRun.objects.create(
        job=JOB,
        day=clock.today(),
        slot=token,
        actor=actor.name,
        account_id=wish.account_id,
        options=options,
    )
    audit.record(actor, AuditAction.IMPORT, run, after=options)
    return run


def cancel(actor: Actor, run: JobRun, reason: str) -> None:
    """Have a run stop after the batch it is at."""
    access.require(actor.user, "storage_app.change_jobrun")
    if run.account_id:
        access.require_account(actor.user, run.account_id)
    with transaction.atomic():
        locked = JobRun.objects.select_for_update().get(pk=run.pk)
        jobs.request_cancel(locked)
        after = {"wants_cancel": True}
        audit.record(actor, AuditAction.CHANGE, locked, after=after, reason=reason)


def perform(number: int) -> jobs.Outcome:
    """Do a run that was asked for, unless somebody is at it or it is over."""
    claim = jobs.claim(JobRun.objects.filter(pk=number))
    if claim.run is None:
        return {"status": "passed over", "reason": claim.reason}
    run = claim.run
    try:
        with translation.override(run.options["language"]):
            return jobs.perform(run, lambda watch: _import(run, watch))
    finally:
        run.refresh_from_db()
        if run.is_over and run.options.get("is_upload"):
            uploads.remove(settings.DATA_DIR, run.slot)


def rejects_of(run: JobRun) -> Path:
    return Path(settings.DATA_DIR) / "rejects" / f"{run.day:%Y%m%d}-{run.slot}"


def _import(run: JobRun, watch: Watch) -> dict[str, Any]:
    wanted = run.options
    directory = _with_namespace(_find(Path(wanted["source"]), wanted["part"]), wanted)
    started_at = clock.now()
    options = _options(run, directory, watch)
    results: list[ImportResult] = []
    try:
        _collect(run, directory, options, results)
    finally:
        # Also when a server dies half-way or somebody cancels: what is in stays in.
        summary = _summary(run, directory, results)
        _report(run, results, summary, started_at)
    return summary


def _collect(
    run: JobRun, directory: LegacyDirectory, options: ImportOptions, results: list[ImportResult]
) -> None:
    cursor = None
    if not options.dry_run:
        cursor = Cursor(settings.DATA_DIR, (JOB, run.slot), resume=run.attempts > 1)
    store = open_platform_store()
    try:
        actor = Actor(run.actor, origin=JOB)
        for result in run_import(directory, store, actor, options, cursor):
            results.append(result)
    finally:
        store.close()
    if cursor is not None:
        cursor.remove()


def _find(path: Path, part: str) -> LegacyDirectory:
    try:
        if path.is_file():
            if part == EVERYTHING:
                raise InvalidInput(f"say what kind of file {path.name} is")
            return single(path, Part(part))
        found = explore(path)
        return found if part == EVERYTHING else found.only([Part(part)])
    except LegacyFileError as exc:
        raise InvalidInput(str(exc)) from exc


def _with_namespace(directory: LegacyDirectory, wanted: Mapping[str, Any]) -> LegacyDirectory:
    """Send the main book of the files to the book that the person named."""
    if not wanted["namespace"]:
        return directory
    books = [
        book if book.namespace else replace(book, namespace=wanted["namespace"])
        for book in directory.books
    ]
    return replace(directory, books=books)


def _options(run: JobRun, directory: LegacyDirectory, watch: Watch) -> ImportOptions:
    wanted = run.options
    since, until = (wanted[name] and date.fromisoformat(wanted[name]) for name in _DAYS)
    folder = RejectsFolder(rejects_of(run), directory.layout_root)
    return ImportOptions(
        account_id=run.account_id,
        calendar_path=settings.DATA_DIR / "calendar.csv",
        adjust=Adjust(wanted["adjust"]),
        zone=ZoneInfo(wanted["zone"]),
        dry_run=wanted["dry_run"],
        replace_positions=wanted["replace_positions"],
        assume_filled=wanted["assume_filled"],
        since=since or None,
        until=until or None,
        rejects=None if wanted["dry_run"] else folder,
        watch=watch,
    )


_DAYS: Final = ("since", "until")


def _summary(
    run: JobRun, directory: LegacyDirectory, results: list[ImportResult]
) -> dict[str, Any]:
    root = directory.layout_root
    files = []
    for result in results:
        document = result.as_json()
        del document["rejects"]
        files.append({**document, "file": str(result.path.relative_to(root))})
    return {
        "files": files,
        "total": total(results),
        "expected": directory.count,
        "unused": directory.unused,
        "rejects": rejects_of(run).is_dir(),
    }


def _report(run: JobRun, results: list[ImportResult], summary: dict[str, Any], at: Any) -> None:
    lines = [one.refused for one in results if one.refused]
    lines += [describe(one.path, row) for one in results for row in one.rejects]
    Report.objects.create(
        kind=ReportKind.IMPORT,
        started_at=at,
        finished_at=clock.now(),
        is_clean=not lines and len(results) == summary["expected"],
        actor=run.actor,
        summary={**summary["total"], "account": run.account_id, "source": run.options["source"]},
        findings=lines[:_MOST_FINDINGS],
    )
    # Partial results too: the page shows them whatever ended the run.
    JobRun.objects.filter(pk=run.pk, holder=run.holder).update(result=summary)
