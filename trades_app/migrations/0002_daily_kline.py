import clickhouse_backend.models
import django.db.models.manager
from django.db import migrations, models

from trades_app.schema import DAILY_KLINE


class Migration(migrations.Migration):
    dependencies = [("trades_app", "0001_trade")]

    operations = [
        migrations.RunSQL(DAILY_KLINE.create_statements(), DAILY_KLINE.drop_statements()),
        migrations.CreateModel(
            name="DailyKline",
            fields=[
                (
                    "adjust",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="adjustment"
                    ),
                ),
                (
                    "code",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="code"
                    ),
                ),
                (
                    "trade_date",
                    clickhouse_backend.models.DateField(
                        primary_key=True, serialize=False, verbose_name="trading date"
                    ),
                ),
                ("open", models.DecimalField(decimal_places=3, max_digits=9, verbose_name="open")),
                ("high", models.DecimalField(decimal_places=3, max_digits=9, verbose_name="high")),
                ("low", models.DecimalField(decimal_places=3, max_digits=9, verbose_name="low")),
                (
                    "close",
                    models.DecimalField(decimal_places=3, max_digits=9, verbose_name="close"),
                ),
                ("volume", clickhouse_backend.models.UInt64Field(verbose_name="volume (shares)")),
                (
                    "amount",
                    models.DecimalField(decimal_places=2, max_digits=18, verbose_name="amount"),
                ),
                (
                    "source",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="source"
                    ),
                ),
                ("version", clickhouse_backend.models.UInt64Field(verbose_name="version")),
            ],
            options={
                "verbose_name": "daily bar",
                "verbose_name_plural": "daily bars",
                "db_table": "daily_kline",
                "ordering": ("code", "-trade_date"),
                "managed": False,
                "default_permissions": ("view",),
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("_overwrite_base_manager", django.db.models.manager.Manager()),
            ],
        ),
    ]
