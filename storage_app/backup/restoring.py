"""Bring a backup into databases that are empty, or in place of what stands there.

Everything is checked before anything is touched. The relational database comes last, in one
transaction with its own verification: until then nobody can sign in to an empty platform, and a
note on this host says that the restore has not ended. Whoever runs it again completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _
from django_celery_beat.models import PeriodicTasks

from storage_app.backup import hosts, making, manifest, market, relational, unfinished
from storage_app.backup.manifest import Manifest, Part
from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.models import AuditAction, Report, ReportKind
from storage_app.services import audit
from storage_app.services.actors import Actor
from storage_app.stores.file.documents import locked
from storage_app.stores.orm import translating
from storage_app.stores.redis_copies import RedisCopies
from trades_app.market import clock

RELATIONAL: Final = "relational"
MARKET: Final = "market"
POSITIONS: Final = "positions"
# What may be restored by itself, and the parts of a backup that it is made of.
SECTIONS: Final = {
    MARKET: ("trades", "klines", "factors"),
    POSITIONS: (hosts.POSITIONS,),
    RELATIONAL: (relational.KIND, hosts.JOURNAL, hosts.CALENDAR),
}


@dataclass(frozen=True, slots=True)
class Restored:
    path: Path
    sections: list[str]
    counts: dict[str, int]
    is_dry_run: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sections": self.sections,
            "counts": self.counts,
            "dry_run": self.is_dry_run,
        }


@dataclass(frozen=True, slots=True)
class _Job:
    root: Path
    manifest: Manifest
    sections: list[str]
    data_dir: Path
    actor: Actor
    watch: Watch

    def parts(self, *kinds: str) -> list[Part]:
        return [part for part in self.manifest.parts if part.kind in kinds]

    def wanted(self) -> list[Part]:
        return self.parts(*(kind for section in self.sections for kind in SECTIONS[section]))


def restore(
    root: Path,
    data_dir: Path,
    actor: Actor,
    *,
    replace: bool = False,
    only: Iterable[str] = (),
    dry_run: bool = False,
    watch: Watch = UNWATCHED,
) -> Restored:
    """Restore a backup or sections of it, and verify what stands then.

    Corrupt names the file that is damaged or the table that came out otherwise; Conflict says
    what stands where nothing should, unless `replace`.
    """
    sections = _sections(only)
    job = _Job(root.absolute(), manifest.read(root), sections, data_dir, actor, watch)
    _check_files(job)
    _check_schema(job)
    with locked(data_dir / "restore"), translating():
        _check_targets(job, replace=replace)
        if not dry_run:
            unfinished.begin(data_dir, job.root, sections)
            for section in SECTIONS:
                if section in sections:
                    _STEPS[section](job)
            unfinished.end(data_dir)
    counts = {kind: rows for kind, rows in job.manifest.count().items() if job.parts(kind)}
    kinds = {part.kind for part in job.wanted()}
    return Restored(root, sections, {k: n for k, n in counts.items() if k in kinds}, dry_run)


def _sections(only: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(only)) or list(SECTIONS)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        raise InvalidInput(f"unknown section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return wanted


def _check_files(job: _Job) -> None:
    wanted = job.wanted()
    for number, _part in enumerate(manifest.check(job.root, wanted), start=1):
        job.watch.step(_("checksums"), number, len(wanted))


def _check_schema(job: _Job) -> None:
    """Refuse a backup of other tables: it belongs into the version that made it."""
    ours = making.schema()
    for alias, made_by in job.manifest.schema.items():
        missing = sorted(set(made_by) - set(ours[alias]))
        extra = sorted(set(ours[alias]) - set(made_by))
        if missing or extra:
            raise Conflict(
                f"{job.root} was made by another schema of {alias}: "
                f"only there {', '.join(missing) or 'nothing'}; "
                f"only here {', '.join(extra) or 'nothing'}. Install the version that made it, "
                "migrate empty databases, restore, and then upgrade"
            )


def _check_targets(job: _Job, *, replace: bool) -> None:
    note = unfinished.read(job.data_dir)
    if note and note["backup"] == str(job.root) and set(note["parts"]) <= set(job.sections):
        return  # what stands there is what the run that died has written
    if note and not replace:
        unfinished.refuse(job.data_dir)
    standing = _occupied(job.sections)
    if standing and not replace:
        found = ", ".join(f"{count} {name}" for name, count in standing.items())
        raise Conflict(f"the databases are not empty: {found}; --replace puts the backup in place")


def _occupied(sections: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    if MARKET in sections:
        found |= market.occupied()
    if POSITIONS in sections:
        books = RedisCopies().occupied()
        found |= {"books": books} if books else {}
    if RELATIONAL in sections:
        found |= relational.occupied()
    return found


def _restore_market(job: _Job) -> None:
    parts = job.parts(*SECTIONS[MARKET])
    market.load(job.root, parts, job.watch)
    market.verify(job.root, parts)


def _restore_positions(job: _Job) -> None:
    parts = job.parts(*SECTIONS[POSITIONS])
    hosts.load_positions(job.root, parts, job.watch)
    hosts.verify_positions(job.root, parts)


def _restore_relational(job: _Job) -> None:
    hosts.load_calendar(job.root, job.parts(hosts.CALENDAR), job.data_dir)
    parts = job.parts(relational.KIND)
    started_at = clock.now()
    with transaction.atomic():
        relational.load(job.root, parts, job.watch)
        relational.verify(job.root, parts)
        report = Report.objects.create(
            kind=ReportKind.BACKUP,
            started_at=started_at,
            finished_at=clock.now(),
            is_clean=True,
            actor=job.actor.name,
            summary={"restored": str(job.root), "counts": job.manifest.count()},
        )
        after = {"restored": str(job.root), "made_at": job.manifest.created_at.isoformat()}
        audit.record(job.actor, AuditAction.REPAIR, report, after=after)
    PeriodicTasks.update_changed()
    hosts.load_journal(job.root, job.parts(hosts.JOURNAL), job.data_dir)


_STEPS: Final[dict[str, Callable[[_Job], None]]] = {
    MARKET: _restore_market,
    POSITIONS: _restore_positions,
    RELATIONAL: _restore_relational,
}
