"""Rows sent by clients: kept in a file until all are there, then given to the engine.

The engine sees nothing of a client that dies halfway, an error needs no
draining, and memory stays bounded. chDB's own streaming insert is no
alternative: it reports success when the table refuses the rows, for example
for a violated constraint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType

from chdb_server.blocks import NOWHERE, Column, Header
from chdb_server.channel import Channel, expect
from chdb_server.errors import NOT_ENOUGH_SPACE, NOT_FOUND_COLUMN_IN_BLOCK, query_error
from chdb_server.packets import FromClient
from chdb_server.statements import literal, quoted
