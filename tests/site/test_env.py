from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from silverquant_site import env
from tests.servers import ROOT


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1", True), ("TRUE", True), ("yes", True), ("On", True),
     ("0", False), ("false", False), ("No", False), (" off ", False)],
)  # fmt: skip
def test_a_switch_is_read_as_people_write_it(monkeypatch, written, meant):
    monkeypatch.setenv("ENABLE_DUAL_WRITE", written)

    assert env.flag("ENABLE_DUAL_WRITE", default=not meant) is meant


@pytest.mark.parametrize("written", ["junk", "2", "ja", "truee"])
def test_a_junk_switch_is_refused_by_name(monkeypatch, written):
    monkeypatch.setenv("ENABLE_DUAL_WRITE", written)

    with pytest.raises(ImproperlyConfigured, match=f"ENABLE_DUAL_WRITE='{written}'"):
        env.flag("ENABLE_DUAL_WRITE", default=True)


def test_an_empty_value_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("DATA_STORE_MODE", " ")
    monkeypatch.setenv("REDIS_PORT", "")

    assert env.store_mode() is env.StoreMode.FILE
    assert env.port("REDIS_PORT", 6379) == 6379


@pytest.mark.parametrize("written", ["0", "65536", "-1", "6379.0", "６３７９", "http"])
def test_a_port_out_of_range_is_refused(monkeypatch, written):
    monkeypatch.setenv("REDIS_PORT", written)

    with pytest.raises(ImproperlyConfigured, match=r"REDIS_PORT=.* must be a whole number"):
        env.port("REDIS_PORT", 6379)


def test_an_unknown_mode_is_refused_with_the_modes_named(monkeypatch):
    monkeypatch.setenv("DATA_STORE_MODE", "Hybrid2")

    with pytest.raises(ImproperlyConfigured, match="file, redis, mysql, clickhouse, hybrid"):
        env.store_mode()


def test_half_a_group_is_refused_from_both_sides(monkeypatch):
    monkeypatch.setenv("PEER_HOST", "db")

    with pytest.raises(ImproperlyConfigured, match="PEER_USER is not set: PEER_HOST is set"):
        env.together("PEER_HOST", "PEER_USER")
    monkeypatch.delenv("PEER_HOST")
    monkeypatch.setenv("PEER_USER", "me")
    with pytest.raises(ImproperlyConfigured, match="PEER_USER set without PEER_HOST"):
        env.together("PEER_HOST", "PEER_USER")


def test_a_password_may_hold_any_character(monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "$ecret{}#'")

    assert env.text("REDIS_PASSWORD") == "$ecret{}#'"


def test_a_relative_directory_is_taken_from_the_checkout(monkeypatch):
    monkeypatch.setenv("DATA_DIR", "elsewhere")

    assert env.data_directory() == ROOT / "elsewhere"


def test_the_environment_wins_over_what_make_run_wrote(tmp_path):
    (tmp_path / env.PLATFORM_FILE).write_text("REDIS_PORT=1111\nCLICKHOUSE_PORT=2222\n")
    script = (
        "from silverquant_site import env;"
        "print(env.text('REDIS_PORT'), env.text('CLICKHOUSE_PORT'),"
        " env.is_given('REDIS_PORT'), env.is_given('CLICKHOUSE_PORT'))"
    )

    done = run_python(["-c", script], DATA_DIR=str(tmp_path), REDIS_PORT="3333")

    assert done.stdout.split() == ["3333", "2222", "True", "False"]


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ENABLE_AUTO_FALLBACK": "maybe"}, "ENABLE_AUTO_FALLBACK='maybe' is not a switch"),
        ({"DATA_STORE_MODE": "cloud"}, "DATA_STORE_MODE='cloud' is not a mode"),
        ({"MYSQL_HOST": "db", "MYSQL_USER": "me"}, "MYSQL_PASSWORD is not set"),
        ({"MYSQL_PASSWORD": "hush-hush"}, "MYSQL_PASSWORD set without MYSQL_HOST"),
    ],
)
def test_manage_py_says_a_configuration_error_in_one_line(tmp_path, variables, complaint):
    done = run_python(["manage.py", "check"], DATA_DIR=str(tmp_path), **variables)

    assert done.returncode == 1
    assert done.stderr.startswith("Configuration error: ")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hush-hush" not in done.stderr


def test_the_web_process_refuses_to_start_without_a_key(tmp_path):
    done = run_python(["-c", "import silverquant_site.wsgi"], DATA_DIR=str(tmp_path))

    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr


def run_python(arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        text=True,
        capture_output=True,
    )
