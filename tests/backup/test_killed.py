"""kill -9 in the middle of a backup and of a restore."""

from __future__ import annotations

import pytest
from health_check.exceptions import ServiceUnavailable

from storage_app import health
from storage_app.backup import unfinished
from storage_app.backup.making import back_up, list_backups
from storage_app.backup.restoring import restore
from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.models import Account
from tests.backup import platforms
from tests.backup.conftest import ACTOR
from tests.backup.stopping import kill_at

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])


def test_backup_that_was_killed_is_none_and_the_next_one_is_whole(platform):
    kill_at("daily bars", "backup")

    (left,) = (platform / "backups").glob("*.part")
    assert (left / "trades.parquet").exists()
    assert list_backups(platform) == []
    with pytest.raises(InvalidInput, match="half-written"):
        restore(left, platform, ACTOR)

    made = back_up(platform, ACTOR)
    assert list_backups(platform) == [made.path]
    assert not left.exists()


@pytest.mark.parametrize("step", ["trades", "books of positions", "relational tables"])
def test_restore_that_was_killed_is_not_believed_and_is_completed_by_the_next(backup, step):
    data_dir = backup.path.parent.parent
    expected = platforms.look()
    platforms.empty()

    kill_at(step, "restore", str(backup.path))

    # The relational part comes last and at once: nobody finds an account on half a platform.
    assert not Account.objects.exists()
    with pytest.raises(Conflict, match=r"has not ended"):
        back_up(data_dir, ACTOR)

    restore(backup.path, data_dir, ACTOR)

    found = platforms.look()
    for name in expected.keys() - platforms.OWN_TRACES:
        assert found[name] == expected[name], name
    assert unfinished.read(data_dir) == {}


def test_another_backup_is_refused_while_a_restore_has_not_ended(backup):
    data_dir = backup.path.parent.parent
    platforms.empty()
    unfinished.begin(data_dir, data_dir / "backups" / "another", ["market"])
    with pytest.raises(Conflict, match="another"):
        restore(backup.path, data_dir, ACTOR)
    restore(backup.path, data_dir, ACTOR, replace=True)
    assert unfinished.read(data_dir) == {}


def test_health_is_red_while_a_restore_has_not_ended(data_dir):
    health.DataDirectory().probe()
    unfinished.begin(data_dir, data_dir / "backups" / "20260101-180000", ["market"])
    with pytest.raises(ServiceUnavailable, match="a restore has not ended"):
        health.DataDirectory().probe()
