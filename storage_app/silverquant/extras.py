"""What a strategy writes into a holding besides its age, kept in a file beside the bound one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage_app.silverquant.registry import Binding
from storage_app.stores.file.documents import read_document, updating


def merged(binding: Binding, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the keys that the platform does not know."""
    if os.path.exists(binding.extra_path):  # noqa: PTH110, at each tick
        for code, more in read_document(Path(binding.extra_path)).items():
            if code in document:
                document[code] = {**more, **document[code]}
    return document


def keep(binding: Binding, entries: Mapping[str, Any]) -> None:
    wanted = {
        code: more
        for code, entry in entries.items()
        if isinstance(entry, Mapping)
        and (more := {key: value for key, value in entry.items() if key != "day_count"})
    }
    path = Path(binding.extra_path)
    if wanted or path.exists():
        with updating(path) as document:
            document.clear()
            document.update(wanted)
