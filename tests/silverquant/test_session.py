from __future__ import annotations

import pytest

from storage_app import silverquant
from storage_app.legacy.text import LegacyFileError
from storage_app.silverquant import bootstrap, credentials, registry
from storage_app.silverquant.parameters import Parameters
from tests import servers
from tests.silverquant.conftest import ACCOUNT, wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("clickhouse", "trading_morning"),
]

STRATEGY = "Swing"


class SellConf:
    risk_limit = 1 - 0.04
    fall_from_top = [(1.08, 9.99, 0.03)]
    white_prefixes = {"60", "00"}
    interval = 1


def save(store, **groups):
    store.create_strategy(STRATEGY, "swing", "technical", "1.0.0")
    return store.save_strategy_params(STRATEGY, groups)


@pytest.fixture
def start(mode):
    opened = []

    def start(**more):
        opened.append(bootstrap(ACCOUNT, STRATEGY, namespace="swing", mode=mode, **more))
        return opened[-1]

    yield start
    for session in opened:
        session.close()


def test_one_call_tells_health_parameters_and_positions_in_one_line(store, start, mode):
    save(store, SellConf={"risk_limit": 0.9})
    store.update_held_days("600000.SH", 3, f"{ACCOUNT}/swing")
    session = start()
    assert session.status.startswith(f"{ACCOUNT}/swing in {mode} mode: ")
    assert session.status.endswith("parameters version 1; 1 positions")
    assert "\n" not in session.status
    assert set(session.health.values()) == {"ok"}
    assert session.positions()["600000.SH"].held_days == 3
    assert registry.store() is session.store


def test_parameters_stand_for_the_classes_of_the_script(store, start):
    save(store, SellConf={"risk_limit": 0.9, "white_prefixes": ["68"]}, slot_count=10)
    session = start()
    conf = session.parameters(SellConf)
    assert conf.risk_limit == 0.9
    assert conf.white_prefixes == {"68"}
    assert conf.fall_from_top == SellConf.fall_from_top, "the version does not have it"
    assert session.params.SellConf.risk_limit == 0.9
    assert session.params.slot_count == 10
    assert {"risk_limit", "interval"} <= set(dir(conf))
    with pytest.raises(AttributeError, match=r"SellConf\.no_such"):
        _ = conf.no_such


def test_a_version_without_groups_serves_every_class(store, start):
    save(store, risk_limit=0.8)
    assert start().parameters(SellConf).risk_limit == 0.8


def test_refresh_takes_over_what_staff_activate(store, start):
    save(store, SellConf={"risk_limit": 0.9})
    session = start()
    conf = session.parameters(SellConf)
    assert session.refresh() is False
    store.save_strategy_params(STRATEGY, {"SellConf": {"risk_limit": 0.95}})
    assert conf.risk_limit == 0.9, "not before the script asks"
    assert session.refresh() is True
    assert (conf.risk_limit, session.version) == (0.95, 2)
    store.activate_strategy_params(STRATEGY, 1)
    assert session.refresh() is True
    assert conf.risk_limit == 0.9


def test_a_strategy_that_the_platform_does_not_know_runs_with_its_own(store, start, caplog):
    with caplog.at_level("INFO", "storage_app"):
        session = start()
    assert session.parameters(SellConf).interval == 1
    assert "parameters of the script" in session.status
    assert "no strategy 'Swing'" in caplog.text
    assert session.refresh() is False


def test_every_server_may_be_down(redis, clickhouse, data_dir, caplog):
    session = bootstrap(ACCOUNT, STRATEGY, namespace="swing", mode="hybrid")
    session.store.create_account(ACCOUNT, "Main", "QMT", 1_000_000)
    save(session.store, SellConf={"risk_limit": 0.9})
    session.store.update_held_days("600000.SH", 3, session.book)
    wait_for(lambda: (data_dir / "books" / session.book / "positions.json").exists())
    session.close()
    for server in servers.SERVERS:
        server.stop()
    try:
        session = bootstrap(ACCOUNT, STRATEGY, namespace="swing", mode="hybrid")
        assert set(session.health.values()) == {"down"}
        assert session.positions()["600000.SH"].held_days == 3
        assert session.parameters(SellConf).risk_limit == 0.9
        assert session.refresh() is False
        assert session.status in caplog.text
        session.close()
    finally:
        for server in servers.SERVERS:
            server.start()


def test_credentials_are_read_and_never_executed(tmp_path):
    path = tmp_path / "credentials.py"
    path.write_text(
        "import os\nQMT_CLIENT_PATH = r'C:\\国金\\userdata_mini'\nTOKENS: list = [['a', 'b']]\n"
        "SECRET = os.environ['X']\nraise SystemExit\n"
    )
    found = credentials.read(path)
    assert found.values == {"QMT_CLIENT_PATH": r"C:\国金\userdata_mini", "TOKENS": [["a", "b"]]}
    assert found.skipped == ("SECRET",)
    path.write_text("QMT_ACCOUNT_ID = '1\n")
    with pytest.raises(LegacyFileError, match=r"credentials\.py"):
        credentials.read(path)


def test_attributes_of_python_are_not_looked_up_in_parameters():
    with pytest.raises(AttributeError):
        _ = Parameters(dict).__wrapped__
    assert repr(Parameters(lambda: {"a": 1})) == "Parameters({'a': 1})"


def test_the_package_has_what_it_says():
    assert all(callable(getattr(silverquant, name)) for name in silverquant.__all__)
    with pytest.raises(AttributeError, match="no_such"):
        _ = silverquant.no_such
