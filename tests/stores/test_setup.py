from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

import storage_app
from storage_app import create_data_store
from storage_app.contract.errors import InvalidInput, Unsupported
from storage_app.contract.roles import ROLES, role_methods
from storage_app.stores.compose import MODES

ROOT = Path(__file__).resolve().parent.parent.parent


def run_script(script, folder=ROOT, **environment):
    """Run a trader's plain script in a clean environment; return the finished process."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PLATFORM_ENV_FILES": "no", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_unknown_mode_names_the_five():
    with pytest.raises(ValueError, match="file, redis, mysql, clickhouse, hybrid"):
        create_data_store("postgres")


def test_unknown_config_key_is_refused():
    with pytest.raises(InvalidInput, match="redis_hots"):
        create_data_store("file", {"redis_hots": "127.0.0.1"})


def test_another_server_than_the_one_in_use_is_refused():
    with pytest.raises(InvalidInput, match="redis_port differs"):
        create_data_store("file", {"redis_port": 1})


def test_same_server_again_is_accepted(settings, tmp_path):
    store = create_data_store("file", {"redis_port": settings.REDIS_PORT, "data_dir": tmp_path})
    assert store.health_check() == {"files": "ok"}


def test_switch_that_is_no_boolean_is_refused():
    with pytest.raises(InvalidInput, match="enable_dual_write"):
        create_data_store("file", {"enable_dual_write": "yes"})


def test_method_of_another_mode_names_the_right_one():
    store = create_data_store("redis")
    with pytest.raises(Unsupported, match="file or clickhouse or hybrid"):
        store.get_kline("600000.SH")
    with pytest.raises(NotImplementedError):
        store.create_account("55009728", "main", "QMT", 1)


@pytest.mark.parametrize("mode", ["file", "redis", "mysql", "clickhouse"])
def test_every_method_that_a_mode_lacks_names_the_modes_that_have_it(mode, tmp_path):
    store = create_data_store(mode, {"data_dir": tmp_path})
    for role in set(ROLES) - set(MODES[mode]):
        homes = " or ".join(name for name, roles in MODES.items() if role in roles)
        for name in role_methods(role):
            with pytest.raises(Unsupported, match=f"{name}.*{homes}"):
                getattr(store, name)("600000.SH", account_id="55009728")


@pytest.mark.django_db(databases=["default", "clickhouse"])
@pytest.mark.parametrize(
    ("constructor", "mode"),
    [
        (storage_app.FileStore, "file"),
        (storage_app.RedisStore, "redis"),
        (storage_app.MySQLStore, "mysql"),
        (storage_app.ClickHouseStore, "clickhouse"),
        (storage_app.HybridStore, "hybrid"),
    ],
)
def test_the_names_of_the_seed_construct_the_five_modes(
    constructor, mode, tmp_path, redis, clickhouse
):
    store = constructor({"data_dir": tmp_path})
    assert store.mode == mode
    assert set(store.health_check()) == set(create_data_store(mode).health_check())
    assert set(store.health_check().values()) == {"ok"}
    store.close()
    with pytest.raises(InvalidInput, match="redis_hots"):
        constructor({"redis_hots": "127.0.0.1"})


def test_file_mode_is_the_default_and_needs_no_server(tmp_path):
    script = (
        "from storage_app import create_data_store\n"
        "store = create_data_store()\n"
        "store.update_held_days('SH600000', 3, '55009728')\n"
        "assert store.get_held_days('600000.SH', '55009728') == 3\n"
        "assert store.health_check() == {'files': 'ok'}\n"
        "store.close(); store.close()\n"
    )
    done = run_script(script, DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_strategy_in_a_folder_of_its_own_finds_the_package(tmp_path):
    script = "from storage_app import create_data_store; create_data_store('file').close()"
    done = run_script(script, folder=tmp_path, DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_config_of_the_first_store_chooses_the_servers(tmp_path):
    script = (
        "from storage_app import create_data_store\n"
        "create_data_store('file', {'redis_host': '192.0.2.1', 'redis_port': 7777})\n"
        "from django.conf import settings\n"
        "assert settings.CACHES['positions']['LOCATION'] == 'redis://192.0.2.1:7777/0'\n"
    )
    done = run_script(script, DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATA_STORE_MODE", "postgres"),
        ("ENABLE_DUAL_WRITE", "junk"),
        ("REDIS_PORT", "70000"),
        ("MYSQL_HOST", "127.0.0.1"),
    ],
)
def test_junk_in_the_environment_stops_the_script_and_names_the_variable(tmp_path, name, value):
    script = "from storage_app import create_data_store; create_data_store()"
    done = run_script(script, DATA_DIR=str(tmp_path), **{name: value})
    assert done.returncode != 0
    assert ImproperlyConfigured.__name__ in done.stderr
    assert name in done.stderr.splitlines()[-1] or "MYSQL_USER" in done.stderr.splitlines()[-1]
