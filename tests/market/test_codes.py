from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trades_app.market import codes

CANONICAL = st.one_of(
    st.from_regex(r"60[0-3][0-9]{3}", fullmatch=True).map(lambda number: f"{number}.SH"),
    st.from_regex(r"00[0-3][0-9]{2}[1-9]", fullmatch=True).map(lambda number: f"{number}.SZ"),
    st.from_regex(r"30[01][0-9]{3}", fullmatch=True).map(lambda number: f"{number}.SZ"),
    st.from_regex(r"920[0-9]{3}", fullmatch=True).map(lambda number: f"{number}.BJ"),
)
EXCHANGES = {"SH": "SHSE", "SZ": "SZSE", "BJ": "BJSE"}
TDX = {"SZ": "0", "SH": "1", "BJ": "2"}


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("600000.SH", "600000.SH"),
        ("SH600000", "600000.SH"),
        ("sh600000", "600000.SH"),
        ("sh.600000", "600000.SH"),
        ("SHSE.600000", "600000.SH"),
        ("SZSE.000001", "000001.SZ"),
        ("600000.XSHG", "600000.SH"),
        ("000001.XSHE", "000001.SZ"),
        ("1600000", "600000.SH"),
        ("0000001", "000001.SZ"),
        ("1000001", "000001.SH"),
        ("2430047", "430047.BJ"),
        ("600000", "600000.SH"),
        ("002594", "002594.SZ"),
        ("300059", "300059.SZ"),
        ("430047", "430047.BJ"),
        ("920001", "920001.BJ"),
        ("510300", "510300.SH"),
        ("159915", "159915.SZ"),
        ("110059", "110059.SH"),
        ("128136.--", "128136.SZ"),
        (" 600000 . SH ", "600000.SH"),
        ("６０００００．ＳＨ", "600000.SH"),
        ("\ufeff600000.SH", "600000.SH"),
        ("'002594", "002594.SZ"),
        ('="002594"', "002594.SZ"),
        ("1.SZ", "000001.SZ"),
        ("2594", "002594.SZ"),
        ("2594.0", "002594.SZ"),
        ("600000.0", "600000.SH"),
        ("000001.SH", "000001.SH"),
        ("399001", "399001.SZ"),
        ("888880.SH", "888880.SH"),
        ("900901", "900901.SH"),
        ("200002", "200002.SZ"),
    ],
)
def test_every_spelling_becomes_the_canonical_code(spelling, code):
    assert codes.parse_code(spelling) == code


def test_numbers_of_a_spreadsheet_are_codes():
    assert codes.parse_code(2594) == "002594.SZ"
    assert codes.parse_code(600000.0) == "600000.SH"


@pytest.mark.parametrize("bare", ["000001", "1", "000858", "000001.--", "1.0"])
def test_bare_number_of_two_markets_is_refused_with_both_names(bare):
    with pytest.raises(codes.InvalidCode, match=r"ambiguous.*\.SZ.*\.SH"):
        codes.parse_code(bare)


@pytest.mark.parametrize(
    "text",
    [
        "", "abc", "nan", "700.HK", "00700", "00941.SZ", "600000.SZ", "300059.SH", "002594.SH",
        "430047.SH", "600000.BJ", "6000000", "60000O.SH", "SH", "600000.SHX", "1234567890",
        "-600000", "600000.5", "None", "000000.SZ",
    ],
)  # fmt: skip
def test_what_is_no_code_is_refused_by_name(text):
    with pytest.raises(codes.InvalidCode):
        codes.parse_code(text)


@given(CANONICAL)
def test_all_spellings_of_a_code_agree(code):
    number, market = code.split(".")
    for spelling in (
        code,
        code.lower(),
        f"{market}{number}",
        f"{EXCHANGES[market]}.{number}",
        f"{TDX[market]}{number}",
        f"{number.lstrip('0')}.{market}",
    ):
        assert codes.parse_code(spelling) == code


@given(st.text(max_size=12))
def test_any_text_is_either_canonical_or_refused(text):
    try:
        code = codes.parse_code(text)
    except codes.InvalidCode:
        return
    assert codes.parse_code(code) == code


@pytest.mark.parametrize(
    "code",
    [
        "204001.SH", "131810.SZ", "888880.SH", "131990.SZ", "000001.SH", "399001.SZ",
        "899050.BJ", "900901.SH", "200002.SZ", "732001.SH",
    ],
)  # fmt: skip
def test_cash_indices_and_dollar_shares_cannot_be_held(code):
    assert not codes.holdable(code)


@pytest.mark.parametrize(
    "code",
    ["600000.SH", "000001.SZ", "430047.BJ", "510300.SH", "159915.SZ", "110059.SH", "128136.SZ"],
)
def test_shares_funds_and_convertible_bonds_can_be_held(code):
    assert codes.holdable(code)


@pytest.mark.parametrize(
    ("code", "lot", "tick"),
    [
        ("600000.SH", 100, "0.01"),
        ("688001.SH", 200, "0.01"),
        ("510300.SH", 100, "0.001"),
        ("159915.SZ", 100, "0.001"),
        ("110059.SH", 10, "0.001"),
        ("128136.SZ", 10, "0.001"),
        ("204001.SH", 10, "0.001"),
        ("900901.SH", 100, "0.001"),
        ("200002.SZ", 100, "0.01"),
    ],
)
def test_lots_and_ticks_follow_the_kind_of_security(code, lot, tick):
    assert codes.lot_size(code) == lot
    assert codes.tick_size(code) == Decimal(tick)


def test_kinds_are_told_by_market_and_number():
    assert codes.is_index("000001.SH")
    assert not codes.is_index("000001.SZ")
    assert codes.is_repo("131810.SZ")
    assert not codes.is_bond("131810.SZ")
    assert codes.is_fund("588000.SH")
