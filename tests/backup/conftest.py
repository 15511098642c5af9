from __future__ import annotations

import pytest

from storage_app.backup.making import back_up
from storage_app.services.actors import Actor
from tests.backup import platforms

ACTOR = Actor("tester")


@pytest.fixture
def platform(transactional_db, clickhouse, redis, data_dir, trading_morning):
    """A DATA_DIR whose platform has something in every store."""
    platforms.fill(data_dir)
    return data_dir


@pytest.fixture
def backup(platform):
    return back_up(platform, ACTOR)
