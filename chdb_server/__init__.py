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
`--fsync`, the default, it survives a power cut too, at 2 to 3 ms per insert
(one row: 7 ms instead of 5). An insert reaches the engine only when the client
has sent all of its rows.

Memory: 120 to 170 MB when ready and 170 to 200 MB once used, 1 MB per connection;
`--max-memory` bounds what queries take on top.
"""

from __future__ import annotations
