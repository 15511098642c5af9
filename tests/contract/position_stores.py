"""Every store that plays the PositionStore role, by name, for the suites to run on each."""

from __future__ import annotations

from django.conf import settings

from storage_app.stores.compose import create_data_store
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.redis import RedisPositions

BACKENDS = {
    "FilePositions": lambda: FilePositions(settings.DATA_DIR),
    "RedisPositions": lambda: RedisPositions(),
}
MODES = {
    "file": lambda: create_data_store("file"),
    "redis": lambda: create_data_store("redis"),
    "hybrid": lambda: create_data_store("hybrid"),
}
POSITION_STORES = {**BACKENDS, **MODES}
# Where positions are kept: file and redis mode hand on to the backends.
KEEPERS = {**BACKENDS, "hybrid": MODES["hybrid"]}
