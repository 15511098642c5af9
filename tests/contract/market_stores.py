"""Every store that keeps trades and bars, by name, for the suites to run on each."""

from __future__ import annotations

from django.conf import settings

from storage_app.stores.clickhouse import ClickHouseKlines, ClickHouseTrades
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.klines import FileKlines
from storage_app.stores.file.trades import FileTrades

MODES = {
    "file": lambda: create_data_store("file"),
    "clickhouse": lambda: create_data_store("clickhouse"),
    "hybrid": lambda: create_data_store("hybrid"),
}
LEDGER_BACKENDS = {
    "FileTrades": lambda: FileTrades(settings.DATA_DIR),
    "ClickHouseTrades": lambda: ClickHouseTrades(),
}
KLINE_BACKENDS = {
    "FileKlines": lambda: FileKlines(settings.DATA_DIR),
    "ClickHouseKlines": lambda: ClickHouseKlines(),
}
LEDGERS = {**LEDGER_BACKENDS, **MODES}
# Where trades are kept: file and clickhouse mode hand on to the backends.
LEDGER_KEEPERS = {**LEDGER_BACKENDS, "hybrid": MODES["hybrid"]}
KLINE_STORES = {**KLINE_BACKENDS, **MODES}
