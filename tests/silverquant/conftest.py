from __future__ import annotations

import time

import pytest

from storage_app.stores.compose import create_data_store

ACCOUNT = "55009728"
MODES = ("file", "hybrid")


@pytest.fixture(params=MODES)
def mode(request, redis, data_dir):
    return request.param


@pytest.fixture
def store(mode):
    """Each mode that has all that a fill moves, with the account and nothing else."""
    opened = create_data_store(mode)
    opened.create_account(ACCOUNT, "Main", "QMT", 1_000_000)
    yield opened
    opened.close()


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)
