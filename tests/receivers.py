"""A receiver of alerts: an HTTP server of this process that keeps what it is sent."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from storage_app import alerts


class Receiver:
    """Apprise reaches it at `url`, which holds a secret; `status` is what it answers."""

    secret = "s3cr3t-t0ken"

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.delay)
                if receiver.status == 200:
                    receiver.messages.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://user:{self.secret}@127.0.0.1:{self._server.server_port}/{self.secret}"

    @property
    def titles(self) -> list[str]:
        return [message["title"].partition(" · ")[0] for message in self.messages]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(settings, data_dir, monkeypatch):
    """The one receiver of this test's alerts; nobody was told anything before."""
    monkeypatch.setattr(alerts, "_sender", None)
    receiver = Receiver()
    settings.ALERT_URLS = [receiver.url]
    yield receiver
    assert alerts.flush(60)
    receiver.stop()
