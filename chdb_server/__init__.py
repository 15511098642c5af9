"""ClickHouse's native TCP protocol in front of one embedded chDB engine.

`python -m chdb_server --path var/clickhouse --port 9000` opens the directory
once and answers any number of ordinary ClickHouse clients, so that an
application needs one code path whether the port belongs to this process, to a
ClickHouse server or to a cluster.

What differs from a ClickHouse server:

* one user, no access rights: whoever may connect may do what the operating
  system allows this process, reading files through `file()` included. Keep the
  loopback address, or set CHDB_SERVER_USER and CHDB_SERVER_PASSWORD;
* rows of `WITH TOTALS` and `extremes` are left out of the answer;
* columns of type JSON, Dynamic, Variant or AggregateFunction can be selected,
  and written by `INSERT … SELECT` or inline values, not sent as blocks;
* no query log, no replication, no TLS.

Durability: an acknowledged insert survives the death of the process. With
`--fsync`, the default, it survives a power cut too, at 2 to 4 ms per insert.
"""

from __future__ import annotations
