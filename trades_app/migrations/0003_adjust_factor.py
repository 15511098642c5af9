import clickhouse_backend.models
import django.db.models.manager
from django.db import migrations, models

from trades_app.schema import ADJUST_FACTOR


class Migration(migrations.Migration):
    dependencies = [("trades_app", "0002_daily_kline")]

    operations = [
        migrations.RunSQL(ADJUST_FACTOR.create_statements(), ADJUST_FACTOR.drop_statements()),
        migrations.CreateModel(
            name="AdjustFactor",
            fields=[
                (
                    "code",
                    clickhouse_backend.models.StringField(
                        low_cardinality=True, verbose_name="code"
                    ),
                ),
                (
                    "ex_date",
                    clickhouse_backend.models.DateField(
                        primary_key=True, serialize=False, verbose_name="ex-date"
                    ),
                ),
                (
                    "factor",
                    models.DecimalField(decimal_places=9, max_digits=18, verbose_name="factor"),
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
                "verbose_name": "adjust factor",
                "verbose_name_plural": "adjust factors",
                "db_table": "adjust_factor",
                "ordering": ("code", "-ex_date"),
                "managed": False,
                "default_permissions": ("view",),
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("_overwrite_base_manager", django.db.models.manager.Manager()),
            ],
        ),
    ]
