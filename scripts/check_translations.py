"""Prove that every string is translated and that the compiled catalogue is current.

The strings are collected afresh from a copy of the sources, so nothing in the tree changes.
With --write they are merged into the catalogue of the tree instead, and that is compiled.
"""

from __future__ import annotations

import argparse
import gettext
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("silverquant_site", "storage_app", "trades_app")
LANGUAGE = "zh_Hans"
CATALOGUE = Path("storage_app", "locale", LANGUAGE, "LC_MESSAGES", "django.po")
TEMPLATE = Path("storage_app", "locale", "django.pot")


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a tool and end with what it said when it complains."""
    done = subprocess.run(  # noqa: S603
        command,
        cwd=cwd,
        env=os.environ | {"PLATFORM_ENV_FILES": "no"},
        text=True,
        capture_output=True,
    )
    if done.returncode:
        sys.exit(f"translations: {done.stdout}{done.stderr}".rstrip())


def collect(tree: Path, *options: str) -> None:
    run(
        sys.executable, "manage.py", "makemessages", "--locale", LANGUAGE, "--no-wrap",
        "--no-location", "--no-obsolete", *options, cwd=tree,
    )  # fmt: skip


def copy_sources(tree: Path) -> None:
    shutil.copy(ROOT / "manage.py", tree)
    for name in SOURCES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))


def strings_of(compiled: Path) -> dict[object, str]:
    with compiled.open("rb") as file:
        catalogue = dict(gettext.GNUTranslations(file)._catalog)  # noqa: SLF001
    catalogue.pop("", None)
    return catalogue


def check() -> None:
    if not (ROOT / CATALOGUE).exists():
        sys.exit(f"translations: {CATALOGUE} is missing; run `make translations` and fill it in")
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        copy_sources(tree)
        collect(tree, "--keep-pot")
        # Complains of strings that are missing, empty or marked fuzzy.
        run("msgcmp", ROOT / CATALOGUE, tree / TEMPLATE)
        fresh = tree / "fresh.mo"
        run("msgfmt", "--check", "--output-file", fresh, ROOT / CATALOGUE)
        compiled = (ROOT / CATALOGUE).with_suffix(".mo")
        if not compiled.exists() or strings_of(fresh) != strings_of(compiled):
            sys.exit(f"translations: {compiled.name} is old; run `make translations`")


def write() -> None:
    (ROOT / CATALOGUE).parent.mkdir(parents=True, exist_ok=True)
    collect(ROOT)
    compiled = (ROOT / CATALOGUE).with_suffix(".mo")
    run("msgfmt", "--check", "--output-file", compiled, ROOT / CATALOGUE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="update the catalogue of the tree")
    write() if parser.parse_args().write else check()
