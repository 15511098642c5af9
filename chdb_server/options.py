"""How the engine is started: a connection string, and a configuration file for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

_MEBIBYTE = 1 << 20

# Statements behave as on a ClickHouse server: chDB would queue inserts, take
# `1 + 1` for a query, break the lines of long type names, and map files that
# it reads into memory, all of a large insert at once.
_SESSION_DEFAULTS = {
    "async_insert": "0",
    "implicit_select": "0",
    "print_pretty_type_names": "0",
    "storage_file_read_method": "pread",
}

# A single machine's share of what the engine takes for a dedicated server; the
# caches fill only as they are used.
_CACHES = {
    "mark_cache_size": 64 * _MEBIBYTE,
    "primary_index_cache_size": 32 * _MEBIBYTE,
    "index_mark_cache_size": 16 * _MEBIBYTE,
    "query_condition_cache_size": 16 * _MEBIBYTE,
    "compiled_expression_cache_size": 16 * _MEBIBYTE,
    "parquet_metadata_cache_size": 8 * _MEBIBYTE,
}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`max_memory` is in bytes for all queries together; 0 leaves a limit to the engine."""

    path: Path
    max_memory: int = 0
    max_threads: int = 0
    fsync: bool = True

    def connection_string(self, config_file: Path) -> str:
        settings = {**self.session_defaults(), "config-file": str(config_file)}
        return f"{self.path}?{urlencode(settings, safe='/')}"

    def session_defaults(self) -> dict[str, str]:
        """Return the settings every session starts with."""
        threads = {"max_threads": str(self.max_threads)} if self.max_threads else {}
        return {**_SESSION_DEFAULTS, **threads}

    def configuration(self) -> str:
        """Return the engine's XML configuration."""
        values = {**_CACHES, **self._memory()}
        lines = [f"<{name}>{value}</{name}>" for name, value in values.items()]
        sync = int(self.fsync)
        lines.append(
            f"<merge_tree><fsync_after_insert>{sync}</fsync_after_insert>"
            f"<fsync_part_directory>{sync}</fsync_part_directory></merge_tree>"
        )
        return "\n".join(("<clickhouse>", *lines, "</clickhouse>\n"))

    def _memory(self) -> dict[str, int]:
        return {"max_server_memory_usage": self.max_memory} if self.max_memory else {}
