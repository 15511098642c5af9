"""The identity of a trade, fixed once, above every store."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from storage_app.contract.arguments import parse_choice, parse_price, parse_timestamp, parse_volume
from storage_app.contract.types import Money, OrderType, PriceType, Trade

# Any fixed UUID does; changing it would make every imported trade new again.
_SPACE = UUID("6a3d2f0e-6f0b-5d0e-9b1b-6c3f7f6f2a10").bytes


def trade_uid(account_id: str, trade_date: date, code: str, order_type: str, ident: str) -> str:
    """Return the uid of a trade that has an id of its own; the same identity, the same uid."""
    name = f"{account_id}|{trade_date}|{code}|{order_type}|{ident}"
    # What uuid5 does in twice the time, which an import of many rows would notice.
    digest = bytearray(hashlib.sha1(_SPACE + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_trade(
    *,
    account_id: str,
    timestamp: datetime | float | str,
    code: str,
    name: str,
    order_type: str,
    remark: str,
    price: Money,
    volume: int,
    strategy_name: str = "",
    order_id: str = "",
    trade_id: str = "",
    price_type: str = "unknown",
    source: str = "trader",
) -> Trade:
    """Build a trade with its trading date and uid; a cancel or a market order may have price 0."""
    kind, priced = parse_choice(OrderType)(order_type), parse_choice(PriceType)(price_type)
    needs_price = kind.is_fill or (kind is not OrderType.CANCEL and priced is not PriceType.MARKET)
    traded_at = parse_timestamp(timestamp)
    trade_date = traded_at.date()
    ident = trade_id if kind.is_fill else order_id
    uid = trade_uid(account_id, trade_date, code, kind, ident) if ident else str(uuid4())
    return Trade(
        trade_uid=uid,
        account_id=account_id,
        traded_at=traded_at,
        trade_date=trade_date,
        code=code,
        name=name,
        order_type=kind,
        price=parse_price(price) if needs_price or price else Decimal(0),
        volume=parse_volume(volume),
        strategy_name=strategy_name,
        remark=remark,
        price_type=priced,
        order_id=order_id,
        trade_id=trade_id,
        source=source,
    )
