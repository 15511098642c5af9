"""One short round of what `make faults` does for hours."""

from __future__ import annotations

import pytest

from tests.faults import databases, rounds, schedule
from tests.faults.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])

SEED = 26


@pytest.mark.usefixtures("redis", "clickhouse")
def test_a_workload_under_faults_loses_and_doubles_nothing_and_shows_nothing_old(tmp_path):
    scene = Scene(tmp_path / "round", SEED, seconds=14.0, databases=databases.names())
    outcome = rounds.run(scene)
    assert outcome.wrong == [], str(outcome)
    assert {fault.split()[0] for fault in outcome.faults} > set(schedule.SERVER_FAULTS)
    assert sum(outcome.acknowledged.values()) > 50
    assert outcome.reads > 50


def test_the_same_seed_gives_the_same_faults(tmp_path):
    plans = [schedule.plan(Scene(tmp_path, seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
