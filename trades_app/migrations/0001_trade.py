import clickhouse_backend.models
import django.db.models.manager
from django.db import migrations, models

from trades_app.schema import TRADE


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunSQL(TRADE.create_statements(), TRADE.drop_statements()),
        migrations.CreateModel(
            name="Trade",
            fields=[
                (
                    "trade_uid",
                    models.UUIDField(primary_key=True, serialize=False, verbose_name="uid"),
                ),
                (
                    "account_id",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="account number"
                    ),
                ),
                ("trade_date", clickhouse_backend.models.DateField(verbose_name="trading date")),
                (
                    "traded_at",
                    clickhouse_backend.models.DateTime64Field(precision=3, verbose_name="time"),
                ),
                (
                    "code",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="code"
                    ),
                ),
                (
                    "name",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="name"
                    ),
                ),
                (
                    "order_type",
                    clickhouse_backend.models.Enum8Field(
                        choices=[
                            (1, "buy_order"),
                            (2, "sell_order"),
                            (3, "buy_trade"),
                            (4, "sell_trade"),
                            (5, "cancel"),
                        ],
                        verbose_name="kind",
                    ),
                ),
                (
                    "price_type",
                    clickhouse_backend.models.Enum8Field(
                        choices=[(0, "unknown"), (1, "limit"), (2, "market")],
                        verbose_name="price type",
                    ),
                ),
                (
                    "price",
                    models.DecimalField(decimal_places=3, max_digits=12, verbose_name="price"),
                ),
                ("volume", clickhouse_backend.models.UInt64Field(verbose_name="volume (shares)")),
                (
                    "amount",
                    models.DecimalField(decimal_places=3, max_digits=20, verbose_name="amount"),
                ),
                (
                    "strategy_name",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="strategy"
                    ),
                ),
                ("remark", clickhouse_backend.models.StringField(verbose_name="remark")),
                ("order_id", clickhouse_backend.models.StringField(verbose_name="order number")),
                ("trade_id", clickhouse_backend.models.StringField(verbose_name="fill number")),
                (
                    "source",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="source"
                    ),
                ),
                (
                    "ingested_at",
                    clickhouse_backend.models.DateTime64Field(verbose_name="stored at"),
                ),
            ],
            options={
                "verbose_name": "trade",
                "verbose_name_plural": "trades",
                "db_table": "trade",
                "ordering": ("-traded_at", "trade_uid"),
                "managed": False,
                "default_permissions": ("view",),
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("_overwrite_base_manager", django.db.models.manager.Manager()),
            ],
        ),
    ]
