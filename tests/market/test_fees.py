from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trades_app.market.fees import Fees, order_fees, stamp_tax_rate, transfer_fee_rate

AMOUNTS = st.decimals(min_value="0.01", max_value="1e9", places=2)
DAYS = st.dates(date(1990, 12, 19), date(2030, 12, 31))


def test_small_order_pays_the_minimum_commission_once():
    fees = order_fees("600000.SH", "BUY", Decimal("1050.00"), 100, date(2025, 9, 22))
    assert fees == Fees(Decimal("5.00"), Decimal("0.00"), Decimal("0.01"))


def test_large_sale_pays_commission_stamp_tax_and_transfer_fee():
    fees = order_fees("000001.SZ", "SELL", Decimal(100_000), 10_000, date(2025, 9, 22))
    assert fees == Fees(Decimal("25.00"), Decimal("50.00"), Decimal("1.00"))
    assert fees.total == Decimal("76.00")


@pytest.mark.parametrize(
    ("day", "buyer", "seller"),
    [
        (date(2007, 5, 29), "0.001", "0.001"),
        (date(2007, 5, 30), "0.003", "0.003"),
        (date(2008, 4, 24), "0.001", "0.001"),
        (date(2008, 9, 18), "0.001", "0.001"),
        (date(2008, 9, 19), "0", "0.001"),
        (date(2023, 8, 27), "0", "0.001"),
        (date(2023, 8, 28), "0", "0.0005"),
    ],
)
def test_stamp_tax_changes_on_its_dates(day, buyer, seller):
    assert stamp_tax_rate("600000.SH", "BUY", day) == Decimal(buyer)
    assert stamp_tax_rate("600000.SH", "SELL", day) == Decimal(seller)


def test_transfer_fee_was_by_face_value_in_shanghai_only_before_august_2015():
    before, after = date(2015, 7, 31), date(2015, 8, 1)
    amount = Decimal(50_000)
    assert order_fees("600000.SH", "BUY", amount, 10_000, before).transfer_fee == Decimal("3.00")
    assert order_fees("000001.SZ", "BUY", amount, 10_000, before).transfer_fee == 0
    for code in ("600000.SH", "000001.SZ"):
        assert order_fees(code, "BUY", amount, 10_000, after).transfer_fee == Decimal("1.00")


def test_transfer_fee_was_halved_in_april_2022():
    assert transfer_fee_rate("600000.SH", date(2022, 4, 28)) == Decimal("0.00002")
    assert transfer_fee_rate("600000.SH", date(2022, 4, 29)) == Decimal("0.00001")


@pytest.mark.parametrize("code", ["510300.SH", "159915.SZ", "110059.SH", "128136.SZ"])
def test_funds_and_bonds_pay_commission_only(code):
    fees = order_fees(code, "SELL", Decimal(100_000), 1000, date(2025, 9, 22))
    assert fees == Fees(Decimal("25.00"), Decimal("0.00"), Decimal("0.00"))


def test_order_without_fills_costs_nothing():
    assert order_fees("600000.SH", "BUY", Decimal(0), 0, date(2025, 9, 22)) == Fees()


def test_wrong_side_or_negative_amount_is_refused():
    with pytest.raises(ValueError, match="BUY or SELL"):
        order_fees("600000.SH", "buy", Decimal(1), 1, date(2025, 9, 22))
    with pytest.raises(ValueError, match="negative"):
        order_fees("600000.SH", "BUY", Decimal(-1), 1, date(2025, 9, 22))


@given(AMOUNTS, AMOUNTS, st.sampled_from(["BUY", "SELL"]), DAYS)
def test_fees_never_fall_when_the_amount_grows(first, second, side, day):
    small, large = sorted((first, second))
    cheap = order_fees("600000.SH", side, small, 100, day)
    dear = order_fees("600000.SH", side, large, 100, day)
    assert cheap.total <= dear.total
    assert cheap.commission >= 5


@given(AMOUNTS, DAYS)
def test_selling_never_costs_less_than_buying(amount, day):
    buy = order_fees("600000.SH", "BUY", amount, 100, day)
    sell = order_fees("600000.SH", "SELL", amount, 100, day)
    assert sell.total >= buy.total
