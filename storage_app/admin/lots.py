"""What a fill closed, or what became of it: first in, first out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trades_app import ledger
from trades_app.market.sources import ASSUMED
from trades_app.models import Trade
from trades_app.queries.trades import read_code_fills


@dataclass(frozen=True, slots=True)
class Lots:
    """The lots of one fill; `rest` are shares still held of a buy, or sold without a buy."""

    rows: Sequence[ledger.Lot]
    rest: int
    is_estimate: bool

    @property
    def profit(self) -> Decimal:
        return sum((lot.profit for lot in self.rows), Decimal(0))


def read_lots(trade: Trade) -> Lots:
    fills = read_code_fills(trade.account_id, trade.code)
    uid = str(trade.trade_uid)
    rows = [lot for lot in ledger.match_lots(fills) if uid in (lot.buy.uid, lot.sell.uid)]
    rest = int(trade.volume) - sum(lot.volume for lot in rows)
    involved = {fill.source for lot in rows for fill in (lot.buy, lot.sell)}
    return Lots(rows, rest, ASSUMED in {*involved, trade.source})
