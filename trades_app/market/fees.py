"""What an order costs: commission, stamp tax and transfer fee, by the date of the trade.

Sources:
- stamp tax (证券交易印花税): Ministry of Finance, 2001-11-16 0.2 %, 2005-01-24 0.1 %, 2007-05-30
  0.3 %, 2008-04-24 0.1 %, each for both sides; 2008-09-19 0.1 % for the seller only;
  announcement 39 of 2023 halves it from 2023-08-28;
- transfer fee (过户费): ChinaClear notices of 2015-07 (from 2015-08-01 0.002 % of the amount in
  Shanghai and Shenzhen, before that 0.03 % of the face value, one yuan a share, in Shanghai
  only) and of 2022-04 (0.001 % from 2022-04-29);
- commission: agreed with the broker, with a minimum of 5 yuan per order (CSRC notice 21 of 2002).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from trades_app.market import codes

COMMISSION_RATE = Decimal("0.00025")
COMMISSION_MINIMUM = Decimal(5)
_CENT = Decimal("0.01")
_ZERO = Decimal(0)

# First day, rate for the buyer, rate for the seller.
_STAMP_TAX = (
    (date(2001, 11, 16), Decimal("0.002"), Decimal("0.002")),
    (date(2005, 1, 24), Decimal("0.001"), Decimal("0.001")),
    (date(2007, 5, 30), Decimal("0.003"), Decimal("0.003")),
    (date(2008, 4, 24), Decimal("0.001"), Decimal("0.001")),
    (date(2008, 9, 19), _ZERO, Decimal("0.001")),
    (date(2023, 8, 28), _ZERO, Decimal("0.0005")),
)
_STAMP_TAX_DAYS = [row[0] for row in _STAMP_TAX]

_TRANSFER_BY_AMOUNT = date(2015, 8, 1)
_TRANSFER_HALVED = date(2022, 4, 29)
_TRANSFER_PER_SHARE = Decimal("0.0003")


@dataclass(frozen=True, slots=True)
class Fees:
    """Costs of one order in yuan, each rounded to the cent."""

    commission: Decimal = _ZERO
    stamp_tax: Decimal = _ZERO
    transfer_fee: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        return self.commission + self.stamp_tax + self.transfer_fee


def order_fees(
    code: str,
    side: str,
    amount: Decimal,
    volume: int,
    day: date,
    *,
    commission_rate: Decimal = COMMISSION_RATE,
    commission_minimum: Decimal = COMMISSION_MINIMUM,
) -> Fees:
    """Return the fees of one order; `amount` (yuan) and `volume` are sums over its fills.

    The commission minimum counts once per order, so fees must not be taken fill by fill. An
    order without fills costs nothing. `side` is BUY or SELL.
    """
    if side not in ("BUY", "SELL"):
        raise ValueError(f"side {side!r} must be BUY or SELL")
    if amount < 0 or volume < 0:
        raise ValueError(f"amount {amount} and volume {volume} must not be negative")
    if not volume:
        return Fees()
    return Fees(
        commission=_round(max(amount * commission_rate, commission_minimum)),
        stamp_tax=_round(amount * stamp_tax_rate(code, side, day)),
        transfer_fee=_round(_transfer_fee(code, amount, volume, day)),
    )


def stamp_tax_rate(code: str, side: str, day: date) -> Decimal:
    """Return the rate of the day; funds, bonds and repos are exempt.

    The oldest known rate stands for the time before it.
    """
    if not _is_share(code):
        return _ZERO
    _, buyer, seller = _STAMP_TAX[max(bisect_right(_STAMP_TAX_DAYS, day) - 1, 0)]
    return buyer if side == "BUY" else seller


def transfer_fee_rate(code: str, day: date) -> Decimal:
    """Return the rate on the amount; 0 before 2015-08-01, when face value was the base."""
    if not _is_share(code) or day < _TRANSFER_BY_AMOUNT:
        return _ZERO
    return Decimal("0.00001") if day >= _TRANSFER_HALVED else Decimal("0.00002")


def _transfer_fee(code: str, amount: Decimal, volume: int, day: date) -> Decimal:
    if day >= _TRANSFER_BY_AMOUNT:
        return amount * transfer_fee_rate(code, day)
    is_charged = code.endswith(".SH") and _is_share(code)
    return _TRANSFER_PER_SHARE * volume if is_charged else _ZERO


def _is_share(code: str) -> bool:
    return not (codes.is_fund(code) or codes.is_bond(code) or codes.is_repo(code))


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
