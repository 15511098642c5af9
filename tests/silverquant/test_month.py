from __future__ import annotations

import pytest

from storage_app.stores.compose import create_data_store
from tests.silverquant import kills, month

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    # Thousands of scans and a dozen programs: half a minute each, more on a busy machine.
    pytest.mark.timeout(900),
]

SHORT = 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The whole month on files, in one go; what the broker did is the same for every run."""
    directory = tmp_path_factory.mktemp("month")
    run_dir = directory / "run"
    run_dir.mkdir()
    month.finish(month.start(run_dir, directory / "data", "file"), run_dir)
    return run_dir, directory / "data"


def test_a_month_comes_out_as_a_second_reckoning_says(undisturbed):
    run_dir, data_dir = undisturbed
    reckoning = month.Reckoning.of(run_dir, month.june())
    kinds = {(one["order_type"], one["status"]) for one in reckoning.orders}
    assert kinds >= {(23, 56), (24, 56), (23, 53), (23, 54)}, "filled, cut short and cancelled"
    assert len(reckoning.trades) > 1.5 * len({one["order_id"] for one in reckoning.trades})
    assert {one["order_remark"] for one in reckoning.orders} >= {"3日换仓", "回落止盈"}
    month.check(create_data_store("file", {"data_dir": data_dir}), reckoning, data_dir)


def test_the_same_days_under_kills_of_process_and_servers_end_in_the_same_state(
    undisturbed, redis, clickhouse, data_dir, tmp_path
):
    days = month.june(SHORT)
    run_dir = tmp_path / "run"
    events = kills.draw(7, days, 4, ["redis", "clickhouse"])
    assert kills.run(run_dir, data_dir, days, events) >= 3
    ours = month.Reckoning.of(run_dir, days)
    theirs = month.Reckoning.of(undisturbed[0], days)
    assert ours == theirs, "the broker was asked for the same"
    store = create_data_store("hybrid")
    kills.settle(store)
    month.check(store, ours, data_dir)
    store.close()
