from __future__ import annotations

import ast

import pytest

from storage_app.legacy.literals import Unevaluable, evaluate
from storage_app.legacy.scripts import read_script
from storage_app.legacy.text import LegacyFileError


def value_of(text, **names):
    return evaluate(ast.parse(text, mode="eval").body, names)


@pytest.mark.parametrize(
    "text",
    [
        "1 - 0.04", "-1", "+2.5", "not True", "'a' + 'b'", "[1, (2, 3), {4, 5}]", "{'a': {'b': 1}}",
        "30 * 60", "7 // 2", "7 % 4", "2 ** 10", "1 / 8", "1 if 2 > 1 else 0", "1 < 2 <= 2",
        "True and 5", "0 or 'x'", "None", "set(['60', '00'])", "frozenset({1})", "list((1, 2))",
        "dict(a=1)", "tuple([1])", "[1, 2][0]", "{'a': 3}['a']", "'09:31' == '09:31'",
        "[['09:31', '11:30'], ['13:00', '14:57']]", "'问财' * 2", "(1.08, 9.99, 0.03)[1]",
        "{1} | {2}", "1 != 2", "'b' >= 'a'",
    ],
)  # fmt: skip
def test_fixed_values_are_what_python_says(text):
    assert value_of(text) == eval(text)  # noqa: S307 - the texts stand above


def test_names_of_the_file_have_their_values():
    assert value_of("base * 2", base=3) == 6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open('x')", "would have to be called"),
        ("__import__('os').system('x')", "would have to be called"),
        ("(1).__class__", "not a fixed value"),
        ("'a'.upper()", "would have to be called"),
        ("unknown", "'unknown' has no value"),
        ("[x for x in (1, 2)]", "not a fixed value"),
        ("lambda: 1", "not a fixed value"),
        ("f'{1}'", "not a fixed value"),
        ("9 ** 9 ** 9", "too large"),
        ("(2 ** 64) ** 64", "too large"),
        ("'x' * 100000", "too large"),
        ("100000 * [1]", "too large"),
        ("1 / 0", "ZeroDivisionError"),
        ("1 + 'a'", "TypeError"),
        ("[1][5]", "IndexError"),
        ("{[]: 1}", "TypeError"),
        ("'%s' % 1", "not understood"),
        ("~1", "not understood"),
        ("1 is 1", "not understood"),
        ("b'x'", "no kind of parameter"),
        ("...", "no kind of parameter"),
        ("1j", "no kind of parameter"),
        ("{**{}}", "not understood"),
        ("dict(**{})", "not understood"),
        ("(1)[0]", "not a fixed value"),
    ],
)
def test_what_only_running_would_tell_is_refused(text, reason):
    with pytest.raises(Unevaluable) as caught:
        value_of(text)
    assert reason in str(caught.value)


def test_error_names_the_line_of_the_part_that_has_no_value():
    with pytest.raises(Unevaluable) as caught:
        value_of("[1,\n2,\nopen('x')]")
    assert caught.value.line == 3


def test_file_is_never_run(tmp_path):
    path = tmp_path / "run_x.py"
    marker = tmp_path / "marker"
    path.write_text(f"open({str(marker)!r}, 'w')\nA = 1\nimport not_there\n")
    assert read_script(path).names["A"].value == 1
    assert not marker.exists()


def read(tmp_path, text, **others):
    for name, content in others.items():
        target = tmp_path / f"{name.replace('__', '/')}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    path = tmp_path / "run_x.py"
    path.write_text(text, encoding="utf-8")
    return read_script(path)


def values(assignments):
    return {name: one.value for name, one in assignments.items()}


def test_classes_see_their_own_attributes_their_bases_and_the_file(tmp_path):
    script = read(
        tmp_path,
        """
PREMIUM = 0.02
class BaseConf:
    slot_count = 10
    interval: int = 30
class BuyConf(BaseConf):
    '''Text'''
    slot_count = 20
    capacity = slot_count * 1000
    order_premium = PREMIUM
    later: int
    low, high = 1.0, 2.0
    def method(self): return 1
class SellConf:
    premium = BuyConf.order_premium * 2
""",
    )
    assert values(script.classes["BuyConf"]) == {
        "slot_count": 20, "interval": 30, "capacity": 20000, "order_premium": 0.02,
        "low": 1.0, "high": 2.0,
    }  # fmt: skip
    assert values(script.classes["SellConf"]) == {"premium": 0.04}


def test_members_of_enums_are_their_values(tmp_path):
    script = read(
        tmp_path,
        """
from enum import Enum
import enum
class Side(Enum):
    BUY = 'buy'
    SELL = 'sell'
class Level(enum.IntEnum):
    HIGH = 3
class BuyConf:
    side = Side.BUY
    text = Side.SELL.value
    name = Side.SELL.name
    levels = {Level.HIGH, 1}
    wrong = Side.HOLD
""",
    )
    found = script.classes["BuyConf"]
    wrong = found.pop("wrong")
    assert values(found) == {"side": "buy", "text": "sell", "name": "SELL", "levels": {3, 1}}
    assert (wrong.line, "has no 'HOLD'" in wrong.error) == (14, True)


def test_imports_beside_the_file_are_followed_and_others_named(tmp_path):
    script = read(
        tmp_path,
        """
from tools.constants import LIMIT, Kind as K
from tools.more import *
from numpy import pi
class BuyConf:
    limit = LIMIT
    kind = K.A
    extra = EXTRA
    pi = pi
""",
        tools__constants=(
            "from enum import Enum\nLIMIT = 1 - 0.05\nclass Kind(Enum):\n    A = 'a'\n"
        ),
        tools__more="EXTRA = [1, 2]\n",
    )
    found = script.classes["BuyConf"]
    assert "imported from numpy" in found.pop("pi").error
    assert values(found) == {"limit": 0.95, "kind": "a", "extra": [1, 2]}


def test_import_in_a_circle_ends(tmp_path):
    script = read(tmp_path, "from other import B\nA = 1\n", other="from run_x import A\nB = A\n")
    assert script.names["A"].value == 1


def test_values_that_depend_on_the_run_are_named_with_their_line(tmp_path):
    script = read(
        tmp_path,
        """
IS_PROD = True
class BuyConf:
    a = 1
    if IS_PROD:
        a = 2
    b = a
    c = 1
    c += 1
""",
    )
    found = script.classes["BuyConf"]
    assert "decides at run time" in found["a"].error
    assert "cannot be known" in found["b"].error
    assert [found[name].line for name in "abc"] == [5, 7, 9]


@pytest.mark.parametrize("text", ["class X:\n  a = (1,\n", "x = \0", "def f(:\n"])
def test_file_that_is_not_python_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(LegacyFileError) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
