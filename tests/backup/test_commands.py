from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from storage_app.backup.making import list_backups
from tests import servers
from tests.backup import platforms

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("english"),
]


def run(*arguments):
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command(*map(str, arguments), stdout=out, stderr=err)
    except CommandError as exc:
        status = exc.returncode
        err.write(str(exc))
    return status, out.getvalue(), err.getvalue()


def test_backup_and_restore_are_one_command_each(platform):
    assert run("backup", "--dry-run")[0] == 0
    assert list_backups(platform) == []

    status, out, _ = run("backup", "--keep", 3, "--json")
    document = json.loads(out)
    assert (status, document["counts"]["klines"]) == (0, 99)
    assert [str(path) for path in list_backups(platform)] == [document["path"]]

    status, _, err = run("restore", document["path"])
    assert (status, "not empty" in err) == (1, True)
    platforms.empty()
    status, out, _ = run("restore", document["path"], "--dry-run")
    assert (status, "nothing was written" in out) == (0, True)
    assert run("restore", document["path"])[0] == 0
    assert platforms.Account.objects.count() == 2


def test_a_damaged_backup_ends_with_status_1_and_the_name_of_the_file(platform):
    made = json.loads(run("backup", "--json")[1])["path"]
    with open(f"{made}/trades.parquet", "r+b") as stream:  # noqa: PTH123
        stream.write(b"PAR2")
    status, _, err = run("restore", made, "--replace")
    assert status == 1
    assert f"{made}/trades.parquet is damaged" in err


def test_wrong_use_is_status_2_and_a_server_that_is_down_3(platform, tmp_path):
    status, _, err = run("restore", tmp_path)
    assert (status, "is not a backup" in err) == (2, True)
    assert run("backup", "--keep", 0)[0] == 2
    servers.CLICKHOUSE.stop()
    try:
        status, _, err = run("backup")
    finally:
        servers.CLICKHOUSE.start()
    assert (status, "clickhouse" in err.lower()) == (3, True)
