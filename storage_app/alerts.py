"""Messages to people's phones and mailboxes, through the receivers that ALERT_URLS names.

Whoever calls never waits: a message is queued, and a daemon thread sends it. Messages with the
same key are limited, over all processes of the host: the first goes out at once, then at most
one in ten minutes, which tells how many were held back. Nothing here raises, and no URL is ever
logged, since it holds the receiver's secret.
"""

from __future__ import annotations

import atexit
import logging
import os
import platform
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.conf import settings
from django.utils import translation
from django.utils.translation import ngettext

from storage_app.alert_limits import Kind, Limits, Verdict

if TYPE_CHECKING:
    from apprise import NotifyBase
    from django.utils.functional import Promise

logger = logging.getLogger(__name__)

WAITING: Final = 200
# A message that reached nobody is tried again for an hour.
RETRY_SECONDS: Final = 60.0
HOPE_SECONDS: Final = 3600.0
# What a program that ends grants to its last message.
EXIT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Message:
    kind: Kind
    key: str
    title: str | Promise
    body: str | Promise
    at: float = field(default_factory=time.time)
    is_deferred: bool = False


def send(
    key: str, title: str | Promise, body: str | Promise = "", *, standing: bool = False
) -> None:
    """Tell people. `standing`: of something that lasts until `recovered(key)`.

    What stands already is told again after six hours only, however often it is noticed.
    """
    _put(_Message(Kind.STANDING if standing else Kind.EVENT, key, title, body))


def recovered(key: str, title: str | Promise, body: str | Promise = "") -> None:
    """Tell people that it is over, if they were told that it began."""
    _put(_Message(Kind.RECOVERY, key, title, body))


def flush(timeout: float) -> bool:
    """Wait until what is queued was tried; False if it takes longer."""
    return _sender is None or _sender.wait(timeout)


def _put(message: _Message) -> None:
    global _sender
    if not settings.configured or not settings.ALERT_URLS:
        return
    with _making:
        if _sender is None:
            _sender = _Sender()
    _sender.put(message)


class _Sender:
    """The queue and its thread, one in each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: queue.Queue[_Message] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._later: dict[str, tuple[float, _Message]] = {}
        self._limits = Limits(settings.DATA_DIR / "alerts" / "told.json")
        self._receivers: dict[tuple[str, ...], list[tuple[str, NotifyBase]]] = {}

    def put(self, message: _Message) -> None:
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            logger.warning("Alerts come faster than they can be sent; one is lost")
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self._queue.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._queue.unfinished_tasks

    def _run(self) -> None:
        _mute_own_thread()
        while True:
            try:
                message = self._queue.get(timeout=self._pause())
            except queue.Empty:
                self._take_up()
                continue
            self._later.pop(message.key, None)
            self._try(message)
            self._queue.task_done()

    def _pause(self) -> float | None:
        moments = [moment for moment, _ in self._later.values()]
        return max(min(moments) - time.time(), 0.0) if moments else None

    def _take_up(self) -> None:
        for key, (moment, message) in list(self._later.items()):
            if moment <= time.time():
                del self._later[key]
                self._try(message)

    def _try(self, message: _Message) -> None:
        try:
            self._handle(message)
        except Exception as exc:  # noqa: BLE001, the thread lives on; the text may hold a URL
            logger.warning("The alert %r was not sent: %s", message.key, type(exc).__name__)

    def _handle(self, message: _Message) -> None:
        verdict = self._limits.claim(
            message.kind, message.key, message.at, is_deferred=message.is_deferred
        )
        if verdict.until:
            self._defer(message, verdict.until)
        elif verdict.may_go and not self._deliver(message, verdict):
            self._limits.give_back(message.key, verdict)
            if time.time() - message.at < HOPE_SECONDS:
                self._defer(message, time.time() + RETRY_SECONDS)

    def _defer(self, message: _Message, moment: float) -> None:
        self._later[message.key] = (moment, replace(message, is_deferred=True))

    def _deliver(self, message: _Message, verdict: Verdict) -> bool:
        """Return whether at least one receiver took it."""
        title, body = _texts(message, verdict.held_back)
        is_good = message.kind is Kind.RECOVERY
        receivers = self._connect(tuple(settings.ALERT_URLS))
        taken = [_notify(*one, title, body, is_good=is_good) for one in receivers]
        return any(taken)

    def _connect(self, urls: tuple[str, ...]) -> list[tuple[str, NotifyBase]]:
        if urls not in self._receivers:
            self._receivers = {urls: list(_connect(urls))}
        return self._receivers[urls]


_making = threading.Lock()
_sender: _Sender | None = None


def _connect(urls: tuple[str, ...]) -> Iterator[tuple[str, NotifyBase]]:
    """Yield the receivers with a name that may be logged."""
    # Imported here because it takes half a second, which most processes never need.
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(app_id="SilverQuant", app_desc="SilverQuant")
    for number, url in enumerate(urls, 1):
        receiver = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if receiver is None:
            logger.warning("URL %d of ALERT_URLS is not one that apprise knows", number)
        else:
            yield f"{receiver.service_name}, URL {number} of ALERT_URLS", receiver


def _notify(name: str, receiver: NotifyBase, title: str, body: str, *, is_good: bool) -> bool:
    kind = "success" if is_good else "warning"
    try:
        is_taken = bool(receiver.notify(title=title, body=body, notify_type=kind))
        reason = "it was refused or nobody answered"
    except Exception as exc:  # noqa: BLE001, of a hundred plugins; the text may hold a secret
        is_taken, reason = False, type(exc).__name__
    if not is_taken:
        logger.warning("An alert could not be delivered to %s: %s", name, reason)
    return is_taken


def _texts(message: _Message, held_back: int) -> tuple[str, str]:
    """Return title and body in the language of the installation."""
    # Catalogues are there only when Django is set up.
    (translation.deactivate if apps.ready else translation.deactivate_all)()
    lines = [str(message.body)]
    if held_back:
        text = ngettext(
            "%(count)d more like this was held back.",
            "%(count)d more like this were held back.",
            held_back,
        )
        lines.append(text % {"count": held_back})
    title = f"{message.title} · {platform.node()}"
    return title, "\n".join(filter(None, lines)) or title


def _mute_own_thread() -> None:
    """Keep apprise and its HTTP client from logging URLs, which hold secrets."""
    own = threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    for name in ("apprise", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(is_of_others)


atexit.register(lambda: flush(EXIT_SECONDS))


def _begin_anew_in_child() -> None:
    global _sender, _making
    _sender, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
