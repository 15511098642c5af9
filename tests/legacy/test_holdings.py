from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from storage_app.legacy.holdings import read_extremes, read_holdings
from storage_app.legacy.text import LegacyFileError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_flat_file_of_old_versions(tmp_path):
    path = write(tmp_path / "held_days.json", '{"_inc_date": "2025-09-22", "000001.SZ": 0}')
    holdings = read_holdings(path)
    assert holdings.days == {"000001.SZ": 0}
    assert holdings.increment_date == date(2025, 9, 22)


def test_structured_file_with_a_closed_position_and_unknown_keys(tmp_path):
    text = """{
    "_inc_date": "2025-09-22",
    "_note": {"any": [1, 2]},
    "000001.SZ": {"day_count": 3, "cost": 10.5},
    "600000.SH": {"day_count": null}
}"""
    holdings = read_holdings(write(tmp_path / "positions.json", text))
    assert holdings.days == {"000001.SZ": 3, "600000.SH": None}
    assert holdings.rejected == []
    assert holdings.entries["600000.SH"].line == 5


@pytest.mark.parametrize(
    ("value", "days"), [("3", 3), ("3.0", 3), ('"3"', 3), ('{"day_count": "3"}', 3), ("null", None)]
)
def test_every_form_of_an_age(tmp_path, value, days):
    path = write(tmp_path / "positions.json", f'{{"600000.SH": {value}}}')
    assert read_holdings(path).days == {"600000.SH": days}


@pytest.mark.parametrize(
    "value", ["-1", "2.5", '"three"', "true", "[]", "{}", "NaN", "1e9", '{"day_count": -1}']
)
def test_age_that_is_none_is_rejected_and_the_others_come_in(tmp_path, value):
    text = f'{{\n"600000.SH": {value},\n"000001.SZ": 4\n}}'
    holdings = read_holdings(write(tmp_path / "positions.json", text))
    assert holdings.days == {"000001.SZ": 4}
    assert [(row.line, row.column) for row in holdings.rejected] == [(2, "600000.SH")]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("000001", "ambiguous"),
        ("abc", "not like"),
        ("204001.SH", "cannot be held"),
        ("888880.SH", "cannot be held"),
        ("000001.SH", "cannot be held"),
    ],
)
def test_key_that_cannot_be_held_is_rejected(tmp_path, key, reason):
    path = write(tmp_path / "positions.json", f'{{"{key}": 1, "SH600000": 2}}')
    holdings = read_holdings(path)
    assert holdings.days == {"600000.SH": 2}
    assert reason in holdings.rejected[0].reason


def test_second_spelling_of_a_code_is_rejected(tmp_path):
    path = write(tmp_path / "positions.json", '{"600000.SH": 1,\n "SH600000": 2,\n "600000.SH": 3}')
    holdings = read_holdings(path)
    assert holdings.days == {"600000.SH": 1}
    assert [row.line for row in holdings.rejected] == [2, 3]


@pytest.mark.parametrize("marker", ['"2025-13-01"', '"yesterday"', "5", "true"])
def test_bad_increment_date_is_rejected_and_the_days_come_in(tmp_path, marker):
    path = write(tmp_path / "positions.json", f'{{"_inc_date": {marker}, "600000.SH": 2}}')
    holdings = read_holdings(path)
    assert holdings.days == {"600000.SH": 2}
    assert holdings.increment_date is None
    assert [row.column for row in holdings.rejected] == ["_inc_date"]


def test_empty_book_keeps_its_increment_date(tmp_path):
    holdings = read_holdings(write(tmp_path / "positions.json", '{"_inc_date": "2025-09-22"}'))
    assert holdings.days == {}
    assert holdings.increment_date == date(2025, 9, 22)


def test_chinese_in_the_code_page_of_windows_does_not_matter(tmp_path):
    text = '{"_note": "浦发银行", "600000.SH": 2}'
    holdings = read_holdings(write(tmp_path / "positions.json", text, "gbk"))
    assert holdings.days == {"600000.SH": 2}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_is_refused_since_no_strategy_reads_it(tmp_path, encoding):
    path = write(tmp_path / "positions.json", '{"600000.SH": 2}', encoding)
    with pytest.raises(LegacyFileError, match="line 1 column character 1: starts with a byte"):
        read_holdings(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1.*empty"),
        ('{\n"600000.SH": 1,\n"0000', "line 3.*character 1.*damaged or cut off"),
        ('{\n"600000.SH": 1,\n', "damaged or cut off"),
        ("{\n", "damaged or cut off"),
        ("[1, 2]", "not an object"),
        ("null", "not an object"),
        ('{"600000.SH": 1}\x00\x00', "NUL"),
        ('{"600000.SH": 1}{}', "Extra data"),
    ],
)
def test_damaged_file_is_refused_with_its_place(tmp_path, text, place):
    path = write(tmp_path / "positions.json", text)
    with pytest.raises(LegacyFileError, match=rf"positions\.json.*{place}") as caught:
        read_holdings(path)
    assert "\n" not in str(caught.value)


def test_prices_are_exact_to_the_tick(tmp_path):
    path = write(tmp_path / "max_price.json", '{"600000.SH": 10.005, "SZ000001": "2.01"}')
    extremes = read_extremes(path)
    assert extremes.prices == {"600000.SH": Decimal("10.005"), "000001.SZ": Decimal("2.01")}


@pytest.mark.parametrize("value", ["0", "-3", "null", "true", "NaN", '"high"', "{}", "1e12"])
def test_price_that_is_none_is_rejected(tmp_path, value):
    path = write(tmp_path / "max_price.json", f'{{"600000.SH": {value}, "000001.SZ": 5}}')
    extremes = read_extremes(path)
    assert extremes.prices == {"000001.SZ": Decimal(5)}
    assert [row.column for row in extremes.rejected] == ["600000.SH"]
