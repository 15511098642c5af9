"""Strategies and their parameters, out of scripts and JSON files, become versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from storage_app.contract import rules
from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from storage_app.contract.watching import UNWATCHED, Watch
from storage_app.imports.results import ImportResult, join_notes
from storage_app.legacy.strategies import LegacyStrategy, read_strategies
from storage_app.legacy.text import Rejected
from storage_app.models import Strategy
from storage_app.services import strategies
from storage_app.services.actors import Actor

KIND = gettext_noop("strategy parameters")


@dataclass(frozen=True, slots=True)
class StrategyOptions:
    """What the file does not say, or says otherwise; names count for a file of one strategy."""

    name: str | None = None
    code: str | None = None
    type: str | None = None
    version: str | None = None
    dry_run: bool = False
    watch: Watch = UNWATCHED


def import_strategies(path: Path, actor: Actor, options: StrategyOptions) -> ImportResult:
    """Import one file; each parameter counts as a row.

    A set that equals any version of the strategy adds nothing, so that an import never turns
    back what was changed since. A parameter without a fixed value is rejected, and the others
    become a version. LegacyFileError for a file without strategies.
    """
    content = read_strategies(path)
    found = [_named(one, options) for one in content.strategies]
    rejected = list(content.rejected)
    notes = []
    new = same = 0
    for done, one in enumerate(found, start=1):
        try:
            is_new, note = _store(one, path, actor, options)
        except (Conflict, InvalidInput) as exc:
            raw = json.dumps({one.code: one.params}, ensure_ascii=False)
            rejected += [Rejected(one.line, one.code, one.name, str(exc), raw)]
            continue
        new += one.count if is_new else 0
        same += 0 if is_new else one.count
        notes.append(note)
        options.watch.step(_(KIND), done, len(found))
    rejects = sorted(rejected, key=lambda row: row.line)
    read = new + same + len(rejects)
    return ImportResult(path, KIND, read, new, same, rejects, join_notes(*notes))


def _named(one: LegacyStrategy, options: StrategyOptions) -> LegacyStrategy:
    given = {
        name: value
        for name in ("name", "code", "type", "version")
        if (value := getattr(options, name)) is not None
    }
    return replace(one, **given)


def _store(
    one: LegacyStrategy, path: Path, actor: Actor, options: StrategyOptions
) -> tuple[bool, str]:
    """Return whether a version was added, and what is to be said of it."""
    rules.new_strategy(one.name, one.code, one.type, one.version, one.description)
    strategy = _find(one)
    if strategy is not None:
        known = _equal_version(strategy, one.params)
        if known is not None:
            return False, _("%(name)s: equals version %(version)s") % {
                "name": one.name,
                "version": known,
            }
    if options.dry_run:
        return True, _("%(name)s: would get a version") % {"name": one.name}
    remark = f"import of {path.name}"
    with transaction.atomic():
        if strategy is None:
            strategies.create(
                actor, one.name, one.code, one.type, one.version, one.description, remark
            )
        saved = strategies.save_params(actor, one.name, one.params, remark)
    text = (
        _("%(name)s: version %(version)s") if strategy else _("%(name)s: new, version %(version)s")
    )
    return True, text % {"name": one.name, "version": saved.version}


def _find(one: LegacyStrategy) -> Strategy | None:
    try:
        strategy = strategies.get(one.name)
    except NotFound:
        return None
    if strategy.strategy_code != one.code:
        raise Conflict(f"strategy {one.name} has the code {strategy.strategy_code}, not {one.code}")
    return strategy


def _equal_version(strategy: Strategy, params: Mapping[str, Any]) -> int | None:
    """Return the newest version with exactly these parameters."""
    wanted = json.dumps(params, sort_keys=True)
    for version in strategies.versions_of(strategy):
        if json.dumps(version.params, sort_keys=True) == wanted:
            return version.version
    return None
