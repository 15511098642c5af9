from __future__ import annotations

import json

import pytest

from storage_app.legacy.strategies import find_strategy_files, read_strategies
from storage_app.legacy.text import LegacyFileError

SCRIPT = """\
from credentials import *
from tools.utils_remote import get_wencai_codes

STRATEGY_NAME = '问财选股'
IS_PROD = False

class PoolConf:
    white_prefixes = {'60', '00', '30'}
    black_prompts = ['ST', '退市']
    prompt = get_prompt()

class BuyConf:
    time_ranges = [['09:30', '10:30']]
    interval = 15
    inc_limit = 1.07

class SellConf:
    risk_limit = 1 - 0.04           # 硬性止损率
    fall_from_top = [
        (1.08, 9.99, 0.03),
        (1.02, 1.08, 0.05),
    ]
    weights = {1: 0.5}

def scan_buy():
    pass

if __name__ == '__main__':
    STRATEGY_NAME = STRATEGY_NAME if IS_PROD else STRATEGY_NAME + '[测]'
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_classes_of_a_script_become_parameters_as_json_holds_them(tmp_path):
    found = read_strategies(write(tmp_path / "run_wencai_qmt.py", SCRIPT))
    (one,) = found.strategies
    assert (one.name, one.code, one.type) == ("问财选股", "wencai_qmt", "wencai")
    assert one.params == {
        "PoolConf": {"white_prefixes": ["00", "30", "60"], "black_prompts": ["ST", "退市"]},
        "BuyConf": {"time_ranges": [["09:30", "10:30"]], "interval": 15, "inc_limit": 1.07},
        "SellConf": {
            "risk_limit": 0.96,
            "fall_from_top": [[1.08, 9.99, 0.03], [1.02, 1.08, 0.05]],
        },
    }
    assert one.count == 7


def test_parameters_without_a_fixed_value_are_rejected_with_their_line(tmp_path):
    found = read_strategies(write(tmp_path / "run_wencai_qmt.py", SCRIPT))
    assert [(row.line, row.column, row.raw) for row in found.rejected] == [
        (10, "PoolConf.prompt", "prompt = get_prompt()"),
        (23, "SellConf.weights", "weights = {1: 0.5}"),
    ]
    assert "would have to be called" in found.rejected[0].reason
    assert "must be text" in found.rejected[1].reason


@pytest.mark.parametrize(
    ("stem", "code", "kind"),
    [
        ("run_remote", "remote", "remote"),
        ("run_swords_tdx", "swords_tdx", "other"),
        ("run_technical-A", "technical_a", "technical"),
        ("run_策略", "strategy", "other"),
    ],
)
def test_code_and_type_follow_from_the_name_of_the_script(tmp_path, stem, code, kind):
    (one,) = read_strategies(
        write(tmp_path / f"{stem}.py", "class BuyConf:\n    a = 1\n")
    ).strategies
    assert (one.name, one.code, one.type) == (code, code, kind)


def test_script_without_parameters_is_refused(tmp_path):
    with pytest.raises(LegacyFileError, match="no PoolConf, BuyConf or SellConf"):
        read_strategies(write(tmp_path / "run_redis_push.py", "A = 1\n"))


def test_list_of_strategies_is_read(tmp_path):
    content = {
        "strategies": [
            {
                "strategy_code": "wencai_v1",
                "strategy_name": "问财一号",
                "description": "第一版",
                "parameters": {"slot_count": 10},
            },
            {"strategy_code": "bad", "parameters": [1]},
            7,
        ]
    }
    found = read_strategies(write(tmp_path / "s.json", json.dumps(content, ensure_ascii=False)))
    (one,) = found.strategies
    assert (one.name, one.code, one.description) == ("问财一号", "wencai_v1", "第一版")
    assert one.params == {"slot_count": 10}
    assert len(found.rejected) == 2


def test_strategies_by_code_of_an_earlier_store_are_read(tmp_path):
    content = {
        "remote_a": {
            "strategy_name": "远程", "strategy_type": "remote", "version": "2.1.0",
            "status": "active", "params": {"a": [1, 2]},
        },
    }  # fmt: skip
    (one,) = read_strategies(
        write(tmp_path / "strategies.json", json.dumps(content, indent=4))
    ).strategies
    assert (one.name, one.code, one.type, one.version) == ("远程", "remote_a", "remote", "2.1.0")
    assert (one.params, one.line) == ({"a": [1, 2]}, 2)


@pytest.mark.parametrize("text", ["", '{"strategies": [', "3", "[" * 100_000])
def test_damaged_json_is_refused(tmp_path, text):
    with pytest.raises(LegacyFileError):
        read_strategies(write(tmp_path / "strategies.json", text))


def test_directory_gives_its_scripts_and_its_store(tmp_path):
    for name in ("run_b.py", "run_a.py", "other.py", "strategies.json"):
        (tmp_path / name).touch()
    names = [path.name for path in find_strategy_files(tmp_path)]
    assert names == ["run_a.py", "run_b.py", "strategies.json"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(LegacyFileError, match="run_"):
        find_strategy_files(tmp_path / "empty")
