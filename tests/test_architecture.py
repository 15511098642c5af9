"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

import storage_app
from storage_app.contract.roles import ROLES, role_methods
from storage_app.stores.compose import MODES

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("silverquant_site", "storage_app", "trades_app", "chdb_server")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAY_READ_ENVIRONMENT = {
    "silverquant_site/env.py": "the one reader",
    "chdb_server/__main__.py": "a program of its own",
}
BACKENDS = sorted(
    {(role, path) for roles in MODES.values() for role, path in roles.items()}, key=str
)


def calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize(
    ("role", "path"), BACKENDS, ids=lambda value: getattr(value, "__name__", value)
)
def test_signatures_of_every_backend_equal_those_of_its_role(role, path):
    backend = import_string(path)
    for name in role_methods(role):
        ours = inspect.signature(getattr(backend, name), eval_str=False)
        theirs = inspect.signature(getattr(role, name), eval_str=False)
        assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
            (p.name, p.kind, p.default) for p in theirs.parameters.values()
        ], f"{path}.{name}"


def test_roles_do_not_share_a_method_name():
    names = [name for role in ROLES for name in role_methods(role)]
    assert len(names) == len(set(names))


def test_package_exports_what_it_says_and_nothing_private():
    assert set(storage_app.__all__) == {
        "ClickHouseStore",
        "FileStore",
        "HybridStore",
        "MySQLStore",
        "RedisStore",
        "create_data_store",
    }
    assert all(hasattr(storage_app, name) for name in storage_app.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_prints_or_reads_the_environment(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert "print" not in calls(tree)
    if str(path.relative_to(ROOT)) not in MAY_READ_ENVIRONMENT:
        reads = {"os.getenv", "os.environ.get", "environ.Env", "os.environ.copy"}
        assert not calls(tree) & reads
        assert "os.environ[" not in ast.unparse(tree)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small(path):
    if "migrations" not in path.parts:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_importing_the_package_does_nothing():
    """No settings, no Django set-up, no driver: a trader may import it and choose later."""
    script = (
        "import sys, storage_app; "
        "heavy = {'django', 'redis', 'clickhouse_driver', 'pandas', 'chdb'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
