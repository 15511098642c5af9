from __future__ import annotations

import json

import pytest

from storage_app.models import AuditEntry, ParamVersion, Strategy
from storage_app.services import actors, strategies
from tests.services.importing import run

SCRIPT = """\
STRATEGY_NAME = '问财选股'

class PoolConf:
    white_prefixes = {'60', '00'}

class BuyConf:
    interval = 15

class SellConf:
    risk_limit = 1 - 0.04
    fall_from_top = [(1.08, 9.99, 0.03)]
"""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english", "data_dir")]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "run_wencai_qmt.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_script_becomes_a_strategy_with_version_1_and_no_second_one(script):
    first = run("import_strategies", script)
    assert first["status"] == 0, first["errors"]
    assert first["total"] == {"read": 4, "new": 4, "same": 0, "rejected": 0, "refused": 0}
    assert first["files"][0]["note"] == "问财选股: new, version 1"
    strategy = Strategy.objects.get()
    assert (strategy.strategy_code, strategy.strategy_type) == ("wencai_qmt", "wencai")
    assert strategies.params_of("问财选股") == {
        "PoolConf": {"white_prefixes": ["00", "60"]},
        "BuyConf": {"interval": 15},
        "SellConf": {"risk_limit": 0.96, "fall_from_top": [[1.08, 9.99, 0.03]]},
    }
    again = run("import_strategies", script)
    assert (again["status"], again["total"]["same"], again["total"]["new"]) == (0, 4, 0)
    assert ParamVersion.objects.count() == 1
    assert AuditEntry.objects.filter(reason="import of run_wencai_qmt.py").count() == 2


def test_changed_script_adds_a_version_and_an_old_one_turns_nothing_back(script):
    run("import_strategies", script)
    strategies.save_params(actors.command("test"), "问财选股", {"BuyConf": {"interval": 30}})
    assert run("import_strategies", script)["total"]["new"] == 0
    assert strategies.params_of("问财选股") == {"BuyConf": {"interval": 30}}
    script.write_text(SCRIPT.replace("15", "20"), encoding="utf-8")
    result = run("import_strategies", script)
    assert "version 3" in result["files"][0]["note"]
    assert strategies.params_of("问财选股")["BuyConf"] == {"interval": 20}


def test_parameter_that_only_running_would_tell_is_rejected_and_corrected(script):
    script.write_text(SCRIPT.replace("15", "read_interval()"), encoding="utf-8")
    result = run("import_strategies", script)
    assert (result["status"], result["total"]["new"], result["total"]["rejected"]) == (1, 3, 1)
    assert "run_wencai_qmt.py line 7 column BuyConf.interval" in result["errors"]
    script.write_text(SCRIPT, encoding="utf-8")
    assert run("import_strategies", script)["status"] == 0
    assert strategies.params_of("问财选股")["BuyConf"] == {"interval": 15}


def test_directory_of_scripts_and_a_store(tmp_path, script):
    (tmp_path / "run_redis_push.py").write_text("A = 1\n")
    content = {
        "remote_a": {"strategy_name": "远程策略", "strategy_type": "remote", "params": {"a": 1}},
        "bad code": {"params": {}},
        "odd": {"strategy_type": "magic", "strategy_name": "odd one", "params": {}},
    }
    (tmp_path / "strategies.json").write_text(json.dumps(content), encoding="utf-8")
    result = run("import_strategies", tmp_path)
    assert result["status"] == 1
    assert (result["total"]["new"], result["total"]["rejected"]) == (5, 2)
    assert result["total"]["refused"] == 1
    assert set(Strategy.objects.values_list("strategy_name", flat=True)) == {
        "问财选股", "远程策略",
    }  # fmt: skip


def test_given_names_win(script):
    run(
        "import_strategies", script, "--name", "新名字", "--code", "new_code", "--type", "other",
        "--program-version", "2.3.4",
    )  # fmt: skip
    strategy = Strategy.objects.get()
    found = (strategy.strategy_name, strategy.strategy_code, strategy.strategy_type)
    assert (*found, strategy.version) == ("新名字", "new_code", "other", "2.3.4")


def test_name_for_many_files_is_wrong_use(tmp_path, script):
    (tmp_path / "run_b.py").write_text(SCRIPT, encoding="utf-8")
    assert run("import_strategies", tmp_path, "--name", "新名字")["status"] == 2


def test_name_or_code_that_is_taken_is_rejected(tmp_path, script):
    run("import_strategies", script)
    other = tmp_path / "run_other.py"
    other.write_text(SCRIPT, encoding="utf-8")
    result = run("import_strategies", other)
    assert (result["status"], result["total"]["rejected"]) == (1, 1)
    assert "has the code wencai_qmt, not other" in result["errors"]
    result = run("import_strategies", script, "--name", "另一个策略")
    assert result["status"] == 1
    assert "wencai_qmt" in result["errors"]
    assert Strategy.objects.count() == 1


def test_dry_run_writes_nothing(script):
    result = run("import_strategies", script, "--dry-run")
    assert (result["status"], result["total"]["new"]) == (0, 4)
    assert not Strategy.objects.exists()
