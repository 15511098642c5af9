"""The ClickHouse tables: engines, keys and codecs (design reasons in docs/architecture.md).

With CLICKHOUSE_CLUSTER set each table is a Distributed one over `<name>_local`, replicated on
every shard; without it, one local table.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: str
    version_column: str
    partition_by: str
    order_by: str
    shard_by: str

    def create_statements(self) -> tuple[str, ...]:
        cluster = settings.CLICKHOUSE_CLUSTER
        if not cluster:
            return (self._create(self.name, f"ReplacingMergeTree({self.version_column})"),)
        return (
            self._create(f"{self.name}_local", self._replicated_engine(), cluster),
            f"CREATE TABLE IF NOT EXISTS {self.name} ON CLUSTER '{cluster}' AS {self.name}_local "
            f"ENGINE = Distributed('{cluster}', currentDatabase(), {self.name}_local, "
            f"{self.shard_by})",
        )

    def drop_statements(self) -> tuple[str, ...]:
        cluster = settings.CLICKHOUSE_CLUSTER
        if not cluster:
            return (f"DROP TABLE IF EXISTS {self.name}",)
        return tuple(
            f"DROP TABLE IF EXISTS {name} ON CLUSTER '{cluster}' SYNC"
            for name in (self.name, f"{self.name}_local")
        )

    def _replicated_engine(self) -> str:
        return (
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', "
            f"'{{replica}}', {self.version_column})"
        )

    def _create(self, name: str, engine: str, cluster: str = "") -> str:
        on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
        return (
            f"CREATE TABLE IF NOT EXISTS {name}{on_cluster} ({self.columns}) "
            f"ENGINE = {engine} PARTITION BY {self.partition_by} ORDER BY {self.order_by}"
        )


# Prices are stored as whole ticks of 0.001 yuan and amounts in fen (0.01 yuan): exact, with the
# codecs of integers, and written as arrays, while drivers convert decimals one by one. Readers
# see the decimal columns, which are aliases.
_TICKS = "Int32 CODEC(Delta, T64('bit'), ZSTD(9))"


def _price(name: str) -> str:
    return f"{name} Decimal(9, 3) ALIAS reinterpret({name}_ticks, 'Decimal(9, 3)')"


TRADE = Table(
    name="trade",
    columns="""
        trade_uid UUID,
        account_id LowCardinality(String),
        trade_date Date,
        traded_at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(3)),
        code LowCardinality(String),
        name LowCardinality(String),
        order_type Enum8('buy_order' = 1, 'sell_order' = 2, 'buy_trade' = 3, 'sell_trade' = 4,
                         'cancel' = 5),
        price_type Enum8('unknown' = 0, 'limit' = 1, 'market' = 2),
        price Decimal(12, 3),
        volume UInt64,
        amount Decimal(20, 3),
        strategy_name LowCardinality(String),
        remark String,
        order_id String,
        trade_id String,
        source LowCardinality(String),
        ingested_at DateTime64(6, 'Asia/Shanghai')
    """,
    version_column="ingested_at",
    # Not by month: opening 36 small parts costs more than reading three years of one account.
    partition_by="toYear(trade_date)",
    order_by="(account_id, trade_date, code, trade_uid)",
    shard_by="cityHash64(account_id)",
)

DAILY_KLINE = Table(
    name="daily_kline",
    columns=f"""
        adjust LowCardinality(String),
        code LowCardinality(String),
        trade_date Date CODEC(Delta, ZSTD(3)),
        open_ticks {_TICKS},
        high_ticks {_TICKS},
        low_ticks {_TICKS},
        close_ticks {_TICKS},
        volume UInt64 CODEC(T64('bit'), ZSTD(9)),
        amount_fen Int64 CODEC(T64('bit'), ZSTD(9)),
        source LowCardinality(String),
        version UInt64 CODEC(Delta, ZSTD(3)),
        {_price("open")},
        {_price("high")},
        {_price("low")},
        {_price("close")},
        amount Decimal(18, 2) ALIAS reinterpret(amount_fen, 'Decimal(18, 2)')
    """,
    version_column="version",
    partition_by="toYear(trade_date)",
    order_by="(adjust, code, trade_date)",
    shard_by="cityHash64(code)",
)

ADJUST_FACTOR = Table(
    name="adjust_factor",
    columns="""
        code LowCardinality(String),
        ex_date Date,
        factor Decimal(18, 9),
        source LowCardinality(String),
        version UInt64
    """,
    version_column="version",
    partition_by="tuple()",
    order_by="(code, ex_date)",
    shard_by="cityHash64(code)",
)

TABLES = (TRADE, DAILY_KLINE, ADJUST_FACTOR)
