"""Trades and bars as they stand in ClickHouse.

The tables are made by hand-reviewed SQL (`schema.py`), since engines, keys and codecs decide
their speed; the models describe them to the ORM and the admin.
"""

from __future__ import annotations

from clickhouse_backend import models as clickhouse
from django.db import models
from django.utils.translation import gettext_lazy as _

# Value and name of the columns' enums, as `schema.py` creates them.
ORDER_TYPES = [
    (1, "buy_order"),
    (2, "sell_order"),
    (3, "buy_trade"),
    (4, "sell_trade"),
    (5, "cancel"),
]
PRICE_TYPES = [(0, "unknown"), (1, "limit"), (2, "market")]


class Trade(clickhouse.ClickhouseModel):
    """One order, fill or cancel; `trade_uid` is its identity, a newer copy replaces an older."""

    trade_uid = models.UUIDField(_("uid"), primary_key=True)
    account_id = clickhouse.StringField(_("account number"), low_cardinality=True)
    trade_date = clickhouse.DateField(_("trading date"))
    traded_at = clickhouse.DateTime64Field(_("time"), precision=3)
    code = clickhouse.StringField(_("code"), low_cardinality=True)
    name = clickhouse.StringField(_("name"), low_cardinality=True)
    order_type = clickhouse.Enum8Field(_("kind"), choices=ORDER_TYPES, return_int=False)
    price_type = clickhouse.Enum8Field(_("price type"), choices=PRICE_TYPES, return_int=False)
    price = models.DecimalField(_("price"), max_digits=12, decimal_places=3)
    volume = clickhouse.UInt64Field(_("volume (shares)"))
    amount = models.DecimalField(_("amount"), max_digits=20, decimal_places=3)
    strategy_name = clickhouse.StringField(_("strategy"), low_cardinality=True)
    remark = clickhouse.StringField(_("remark"))
    order_id = clickhouse.StringField(_("order number"))
    trade_id = clickhouse.StringField(_("fill number"))
    source = clickhouse.StringField(_("source"), low_cardinality=True)
    ingested_at = clickhouse.DateTime64Field(_("stored at"), precision=6)

    class Meta:
        verbose_name = _("trade")
        verbose_name_plural = _("trades")
        managed = False
        db_table = "trade"
        ordering = ("-traded_at", "trade_uid")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.trade_date} {self.code} {self.volume}"


class DailyKline(clickhouse.ClickhouseModel):
    """One daily bar; raw prices are `adjust='none'`, volume is shares, amount yuan."""

    adjust = clickhouse.StringField(_("adjustment"), low_cardinality=True)
    code = clickhouse.StringField(_("code"), low_cardinality=True)
    trade_date = clickhouse.DateField(_("trading date"), primary_key=True)
    open = models.DecimalField(_("open"), max_digits=9, decimal_places=3)
    high = models.DecimalField(_("high"), max_digits=9, decimal_places=3)
    low = models.DecimalField(_("low"), max_digits=9, decimal_places=3)
    close = models.DecimalField(_("close"), max_digits=9, decimal_places=3)
    volume = clickhouse.UInt64Field(_("volume (shares)"))
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=2)
    source = clickhouse.StringField(_("source"), low_cardinality=True)
    version = clickhouse.UInt64Field(_("version"))

    class Meta:
        verbose_name = _("daily bar")
        verbose_name_plural = _("daily bars")
        managed = False
        db_table = "daily_kline"
        ordering = ("code", "-trade_date")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.code} {self.trade_date}"


class AdjustFactor(clickhouse.ClickhouseModel):
    """Cumulative factor (后复权因子) of a code from its ex-date on."""

    code = clickhouse.StringField(_("code"), low_cardinality=True)
    ex_date = clickhouse.DateField(_("ex-date"), primary_key=True)
    factor = models.DecimalField(_("factor"), max_digits=18, decimal_places=9)
    source = clickhouse.StringField(_("source"), low_cardinality=True)
    version = clickhouse.UInt64Field(_("version"))

    class Meta:
        verbose_name = _("adjust factor")
        verbose_name_plural = _("adjust factors")
        managed = False
        db_table = "adjust_factor"
        ordering = ("code", "-ex_date")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.code} {self.ex_date}"
