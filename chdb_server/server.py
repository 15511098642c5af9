"""Accepting clients, a thread for each, and letting them go."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress

from chdb_server.channel import Channel
from chdb_server.errors import NO_FREE_CONNECTION, QueryError, query_error
from chdb_server.session import Host, Session

logger = logging.getLogger(__name__)

# A client that neither reads nor writes for this long inside a packet is given up.
_STALLED_AFTER = 300.0
_BACKLOG = 128
_PAUSE_AFTER_FAILED_ACCEPT = 0.1


class Server:
    """Serves the clients of one listening socket."""

    def __init__(self, listener: socket.socket, host: Host, max_connections: int) -> None:
        self._listener = listener
        self._host = host
        self._max_connections = max_connections
        self._sessions: dict[threading.Thread, Session] = {}
        self._lock = threading.Lock()
        self._is_stopping = False

    def start(self) -> None:
        self._listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, name="accept", daemon=True).start()

    def stop(self, within: float) -> bool:
        """Let running statements end; say whether all did in time."""
        self._is_stopping = True
        self._close_listener()
        with self._lock:
            sessions = dict(self._sessions)
        for session in sessions.values():
            session.finish()
        deadline = time.monotonic() + within
        for thread in sessions:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in sessions)

    def _close_listener(self) -> None:
        """Wake the accepting thread, which closing alone would leave waiting."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._is_stopping:
                    logger.warning("cannot accept a connection: %s", error)
                    time.sleep(_PAUSE_AFTER_FAILED_ACCEPT)
                continue
            self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        session = Session(Channel(connection, _STALLED_AFTER), self._host)
        with self._lock:
            refusal = self._refusal()
            thread = threading.Thread(target=self._serve, args=(session, refusal), daemon=True)
            self._sessions[thread] = session
        thread.start()

    def _serve(self, session: Session, refusal: QueryError | None) -> None:
        try:
            session.serve(refusal)
        except Exception:  # the other clients go on whatever went wrong here
            logger.exception("a session failed")
        finally:
            with self._lock:
                del self._sessions[threading.current_thread()]

    def _refusal(self) -> QueryError | None:
        if len(self._sessions) < self._max_connections:
            return None
        text = f"More than {self._max_connections} connections"
        return query_error(NO_FREE_CONNECTION, text, "NO_FREE_CONNECTION")
