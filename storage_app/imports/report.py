"""The result of an import as an aligned table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rich.console import Console
from rich.table import Table

from storage_app.imports.results import ImportResult, total

# Folders with more files than this are one row; files with rejects keep a row of their own.
_MOST_ROWS = 30
_WIDTH = 200

TableRow = tuple[str, str, int, int, int, int, str]


def render_table(root: Path, results: Sequence[ImportResult]) -> str:
    """Return the table as text, with a row per file and the sums at the end."""
    table = Table(box=None, pad_edge=False, show_footer=True)
    sums = total(results)
    table.add_column(_("file"), _("total"), no_wrap=True)
    table.add_column(_("content"), no_wrap=True)
    for name, label in (
        ("read", _("read")),
        ("new", _("new")),
        ("same", _("same")),
        ("rejected", _("rejected")),
    ):
        table.add_column(label, f"{sums[name]:,}", justify="right", no_wrap=True)
    table.add_column(_("note"), overflow="fold")
    for name, kind, *counts, note in _rows(root, results):
        table.add_row(name, kind, *(f"{count:,}" for count in counts), note)
    console = Console(width=_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _rows(root: Path, results: Sequence[ImportResult]) -> Iterator[TableRow]:
    for folder, group in groupby(results, key=lambda result: result.path.parent):
        members = list(group)
        if len(members) <= _MOST_ROWS:
            yield from (_row(root, result) for result in members)
            continue
        clean = [result for result in members if result.is_clean]
        yield from (_row(root, result) for result in members if not result.is_clean)
        sums = total(clean)
        files = ngettext("%(count)d file", "%(count)d files", len(clean)) % {"count": len(clean)}
        yield (
            f"{folder.relative_to(root)}/ ({files})",
            _(members[0].kind),
            sums["read"],
            sums["new"],
            sums["same"],
            sums["rejected"],
            "",
        )


def _row(root: Path, result: ImportResult) -> TableRow:
    note = _("refused") if result.refused else result.note
    name = str(result.path.relative_to(root))
    return name, _(result.kind), result.read, result.new, result.same, result.rejected, note
